//! This device's X-Wing keys, one after the other.

use doorframe_transport::identity::{BadKey, DeviceKey, DevicePublicKey};
use std::fmt;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const ENTRY: usize = 4 + 8 + 8 + 32;

/// One of them.
pub(super) struct Generation {
    /// Grows by one with each; 0: a recovery key's.
    pub(super) number: u32,
    /// When it was made, µs since 1970.
    pub(super) made_wall_us: u64,
    /// When the next one came; 0: it is in use.
    retired_wall_us: u64,
    key: DeviceKey,
}

impl Generation {
    fn new(number: u32, seed: [u8; 32], made_wall_us: u64, retired_wall_us: u64) -> Result<Self, BadKey> {
        Ok(Self { number, made_wall_us, retired_wall_us, key: DeviceKey::from_seed(seed)? })
    }

    pub(super) fn public(&self) -> &DevicePublicKey {
        self.key.public()
    }

    pub(super) fn seed(&self) -> &[u8; 32] {
        self.key.seed()
    }
}

/// All that were not forgotten: at least one, the last of which is in use.
pub(super) struct Generations {
    newest: Generation,
    /// Oldest first.
    retired: Vec<Generation>,
}

impl fmt::Debug for Generations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Generations({}, ..)", self.newest.number)
    }
}

impl Generations {
    pub(super) fn first(seed: [u8; 32], wall_us: u64) -> Result<Self, BadKey> {
        Ok(Self { newest: Generation::new(1, seed, wall_us, 0)?, retired: Vec::new() })
    }

    pub(super) fn newest(&self) -> &Generation {
        &self.newest
    }

    /// Newest first.
    pub(super) fn seeds(&self) -> impl Iterator<Item = &[u8; 32]> {
        std::iter::once(&self.newest).chain(self.retired.iter().rev()).map(Generation::seed)
    }

    /// Newest first. Seeds that made a key once make it again.
    pub(super) fn keys(&self) -> Vec<DeviceKey> {
        self.seeds().filter_map(|seed| DeviceKey::from_seed(*seed).ok()).collect()
    }

    /// These and another, which is above `listed` too, the generation that the device list has.
    pub(super) fn next(&self, seed: [u8; 32], listed: u32, wall_us: u64) -> Result<Self, BadKey> {
        let number = self.newest.number.max(listed).saturating_add(1);
        let copy = |from: &Generation, retired| Generation::new(from.number, *from.seed(), from.made_wall_us, retired);
        let mut retired = Vec::with_capacity(self.retired.len() + 1);
        for generation in &self.retired {
            retired.push(copy(generation, generation.retired_wall_us)?);
        }
        retired.push(copy(&self.newest, wall_us.max(1))?);
        Ok(Self { newest: Generation::new(number, seed, wall_us, 0)?, retired })
    }

    /// These and a key that was not this device's, retired `wall_us`: what is sealed to it opens here too. Only once.
    pub(super) fn with_foreign(&self, seed: [u8; 32], wall_us: u64) -> Result<Self, BadKey> {
        let copy =
            |from: &Generation| Generation::new(from.number, *from.seed(), from.made_wall_us, from.retired_wall_us);
        let kept = self.retired.iter().filter(|generation| *generation.seed() != seed);
        let mut retired = kept.map(copy).collect::<Result<Vec<_>, _>>()?;
        retired.push(Generation::new(0, seed, 0, wall_us.max(1))?);
        Ok(Self { newest: copy(&self.newest)?, retired })
    }

    /// Lets go of those retired before `before`.
    pub(super) fn forget(&mut self, before: u64) -> usize {
        let were = self.retired.len();
        self.retired.retain(|generation| generation.retired_wall_us >= before);
        were - self.retired.len()
    }

    /// `u8 version ‖ each, oldest first: u32 number ‖ u64 made ‖ u64 retired ‖ seed ‖ hash of all before`, for our own disk alone.
    pub(super) fn emit(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(1 + ENTRY * (self.retired.len() + 1) + 32));
        out.push(VERSION);
        for generation in self.retired.iter().chain([&self.newest]) {
            out.extend_from_slice(&generation.number.to_be_bytes());
            out.extend_from_slice(&generation.made_wall_us.to_be_bytes());
            out.extend_from_slice(&generation.retired_wall_us.to_be_bytes());
            out.extend_from_slice(generation.seed());
        }
        let hash = super::home::sha256(&out);
        out.extend_from_slice(&hash);
        out
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut left = super::home::whole(bytes)?;
        if left.split_off_first() != Some(&VERSION) {
            return Err("it is of a newer program".into());
        }
        let mut all = Vec::new();
        while !left.is_empty() {
            let number = u32::from_be_bytes(take(&mut left)?);
            let (made, retired) = (u64::from_be_bytes(take(&mut left)?), u64::from_be_bytes(take(&mut left)?));
            let generation = Generation::new(number, take(&mut left)?, made, retired);
            all.push(generation.map_err(|error| error.to_string())?);
        }
        let newest = all.pop().ok_or("it holds no key")?;
        Ok(Self { newest, retired: all })
    }
}

fn take<const N: usize>(left: &mut &[u8]) -> Result<[u8; N], String> {
    let (taken, rest) = left.split_first_chunk::<N>().ok_or("it is cut off")?;
    *left = rest;
    Ok(*taken)
}
