//! One entry of a device list.

use crate::identity::{DEVICE_PUBLIC_KEY, DevicePublicKey, VerifyingKey};
use crate::parse::{Reader, RecordError, is_line};
use std::fmt;
use std::num::NonZeroU64;

/// Random name of a home: its cameras and devices share one list.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HomeId(pub [u8; 16]);

impl fmt::Display for HomeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for HomeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a device may do. All watch, and open what was recorded while they were on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Also signs the next list.
    Owner,
    /// Belongs to the household.
    Member,
    /// Watches until an expiry, which a guest must have.
    Guest,
    /// Words on paper, see [`RecoveryKey`](super::RecoveryKey).
    Recovery,
}

impl Role {
    /// Its number on the wire.
    pub const fn id(self) -> u8 {
        match self {
            Self::Owner => 1,
            Self::Member => 2,
            Self::Guest => 3,
            Self::Recovery => 4,
        }
    }

    /// `None` for a number this program does not know.
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            1 => Some(Self::Owner),
            2 => Some(Self::Member),
            3 => Some(Self::Guest),
            4 => Some(Self::Recovery),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner => "owner",
            Self::Member => "member",
            Self::Guest => "guest",
            Self::Recovery => "recovery key",
        })
    }
}

/// When something ends, by the wall clock of whoever holds to it; or never.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Expiry(Option<NonZeroU64>);

impl Expiry {
    /// It does not end.
    pub const NEVER: Self = Self(None);

    /// It ends at `wall_us`, µs since 1970. The first microsecond of 1970 is the earliest: 0 says "never" on the wire.
    pub const fn at(wall_us: u64) -> Self {
        match NonZeroU64::new(wall_us) {
            Some(wall_us) => Self(Some(wall_us)),
            None => Self(Some(NonZeroU64::MIN)),
        }
    }

    /// When it ends, µs since 1970; `None`: never.
    pub const fn wall_us(self) -> Option<u64> {
        match self.0 {
            Some(wall_us) => Some(wall_us.get()),
            None => None,
        }
    }

    /// Whether it has ended when the wall clock says `wall_us`. At that very microsecond it has.
    pub const fn is_over(self, wall_us: u64) -> bool {
        matches!(self.wall_us(), Some(end) if wall_us >= end)
    }

    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        Ok(Self(NonZeroU64::new(reader.u64()?)))
    }

    pub(crate) fn emit(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.wall_us().unwrap_or(0).to_be_bytes());
    }
}

impl fmt::Debug for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wall_us() {
            Some(wall_us) => write!(f, "Expiry({wall_us} us)"),
            None => f.write_str("Expiry(never)"),
        }
    }
}

/// What people call a device: 1 to 40 bytes of UTF-8 without control characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DeviceName(String);

impl DeviceName {
    /// Longest name, in bytes.
    pub const MAX: usize = 40;

    /// `None` unless it is 1 to 40 bytes without control characters.
    pub fn new(name: &str) -> Option<Self> {
        ((1..=Self::MAX).contains(&name.len()) && is_line(name)).then(|| Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let len = usize::from(reader.u8()?);
        let name = reader.slice(len)?;
        std::str::from_utf8(name).ok().and_then(Self::new).ok_or(RecordError::Text("device name"))
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        out.push(self.0.len() as u8);
        out.extend_from_slice(self.0.as_bytes());
    }
}

impl fmt::Debug for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A device as the list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// What it may do.
    pub role: Role,
    /// Checks what it signs. Names the device from list to list.
    pub signer: VerifyingKey,
    /// What sessions are sealed to, unless the device has rotated it since: see [`Lists::recipients`](super::Lists::recipients).
    pub public: DevicePublicKey,
    /// Which of its X-Wing keys that is; grows with each rotation.
    pub generation: u32,
    /// Until when sessions are sealed to it.
    pub expiry: Expiry,
    /// What people call it.
    pub name: DeviceName,
}

impl Device {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let role = reader.u8()?;
        let role = Role::from_id(role).ok_or(RecordError::Field { field: "role", value: role.into() })?;
        let signer = VerifyingKey(reader.array()?);
        let public = DevicePublicKey::from_bytes(reader.slice(DEVICE_PUBLIC_KEY)?)
            .map_err(|_| RecordError::Key("X-Wing key of a device"))?;
        Ok(Self {
            role,
            signer,
            public,
            generation: reader.u32()?,
            expiry: Expiry::parse(reader)?,
            name: DeviceName::parse(reader)?,
        })
    }

    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        out.push(self.role.id());
        out.extend_from_slice(&self.signer.0);
        out.extend_from_slice(self.public.bytes());
        out.extend_from_slice(&self.generation.to_be_bytes());
        self.expiry.emit(out);
        self.name.emit(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_break_a_line_does_not_exist() {
        for bad in ["", "two\nlines", "tab\t", "\u{85}next line", "41 bytes, which is one more than is allowed"] {
            assert!(DeviceName::new(bad).is_none(), "{bad:?}");
        }
        assert_eq!(DeviceName::new("Omas Händy 📱").map(|n| n.to_string()).as_deref(), Some("Omas Händy 📱"));
    }

    #[test]
    fn an_expiry_is_over_from_its_microsecond_on() {
        assert!(!Expiry::at(5).is_over(4));
        assert!(Expiry::at(5).is_over(5));
        assert!(!Expiry::NEVER.is_over(u64::MAX));
        assert_ne!(Expiry::at(0), Expiry::NEVER);
    }
}
