//! Words on paper that open what a home's devices could, and make another one an owner, when these are lost.

use super::device::{Device, DeviceName, Expiry, Role};
use crate::identity::{BadKey, DeviceKey, SigningKey};
use crate::seed::Seed;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use bip39::{Language, Mnemonic};
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// 32 bytes that a person keeps as 24 English words (BIP-39). Zeroized when dropped, never printed.
///
/// It is on the device list as [`Role::Recovery`], with an expiry that the owner chose. Whoever finds the paper can watch, and
/// sign the next list, as long as it is on the list: take it off and make another.
pub struct RecoveryKey(Zeroizing<[u8; 32]>);

/// Why words are no recovery key. Never holds a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadWords {
    /// Too few or too many.
    #[error("{0} words, a recovery key has 24")]
    Count(usize),
    /// Not a word of the list.
    #[error("word {0} is not one of the 2048 English words of BIP-39: look for a slip of the pen")]
    Unknown(usize),
    /// All words are right, and not these together.
    #[error("these words do not belong together: two may be swapped, or one be another")]
    Checksum,
}

/// Words in a recovery key.
const WORDS: usize = 24;
/// Longest word of the list, and a space.
const WORD: usize = 8 + 1;

impl RecoveryKey {
    /// Draws a new one.
    pub fn draw(seed: Seed) -> Self {
        Self(Zeroizing::new(seed.rng().bytes()))
    }

    /// Reads it from its words: any case, any white space between.
    ///
    /// # Errors
    /// [`BadWords`] says which word to look at.
    pub fn from_words(text: &str) -> Result<Self, BadWords> {
        let count = text.split_whitespace().count();
        if count != WORDS {
            return Err(BadWords::Count(count));
        }
        let mut words = Zeroizing::new(String::with_capacity(WORDS * WORD));
        for (i, word) in text.split_whitespace().enumerate() {
            // Longer ones would make the string move and leave a copy behind.
            if word.len() >= WORD || !word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
                return Err(BadWords::Unknown(i + 1));
            }
            if i > 0 {
                words.push(' ');
            }
            word.chars().for_each(|letter| words.push(letter.to_ascii_lowercase()));
        }
        let mnemonic = Mnemonic::parse_in_normalized(Language::English, &words).map_err(|error| match error {
            bip39::Error::UnknownWord(index) => BadWords::Unknown(index + 1),
            _ => BadWords::Checksum,
        })?;
        let (entropy, _) = mnemonic.to_entropy_array();
        let entropy = Zeroizing::new(entropy);
        let mut key = Zeroizing::new([0; 32]);
        key.iter_mut().zip(entropy.iter()).for_each(|(to, from)| *to = *from);
        Ok(Self(key))
    }

    /// Its 24 words, with a space between.
    pub fn words(&self) -> Zeroizing<String> {
        let mut words = Zeroizing::new(String::with_capacity(WORDS * WORD));
        // 32 bytes are one of the lengths that BIP-39 knows: this cannot fail.
        let mnemonic = Mnemonic::from_entropy_in(Language::English, self.0.as_slice());
        debug_assert!(mnemonic.is_ok());
        for word in mnemonic.iter().flat_map(Mnemonic::words) {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
        words
    }

    /// What it signs with.
    ///
    /// # Errors
    /// [`BadKey`] if the library refuses the seed, which it does for none of 32 bytes.
    pub fn signing_key(&self) -> Result<SigningKey, BadKey> {
        SigningKey::from_seed(&self.derive(b"doorframe/1 recovery signing"))
    }

    /// What sessions are sealed to.
    ///
    /// # Errors
    /// [`BadKey`] if the library refuses the seed, which it does for none of 32 bytes.
    pub fn device_key(&self) -> Result<DeviceKey, BadKey> {
        DeviceKey::from_seed(*self.derive(b"doorframe/1 recovery device"))
    }

    /// Its entry on a device list.
    ///
    /// # Errors
    /// [`BadKey`] if the library refuses a seed, which it does for none of 32 bytes.
    pub fn device(&self, expiry: Expiry, name: DeviceName) -> Result<Device, BadKey> {
        Ok(Device {
            role: Role::Recovery,
            signer: self.signing_key()?.verifying_key(),
            public: self.device_key()?.public().clone(),
            generation: 1,
            expiry,
            name,
        })
    }

    /// HKDF-SHA-256 (RFC 5869) without salt.
    fn derive(&self, label: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut out = Zeroizing::new([0; 32]);
        let prk = Salt::new(HKDF_SHA256, &[]).extract(self.0.as_slice());
        // 32 bytes are one block of the 255 that HKDF can give: this cannot fail.
        let filled = prk.expand(&[label], HKDF_SHA256).and_then(|okm| okm.fill(out.as_mut_slice()));
        debug_assert!(filled.is_ok());
        out
    }
}

/// Words of the list from which `typed` is one slip of the pen away: a letter too many, too few or another, or two swapped. At most 5.
pub fn near_words(typed: &str) -> Vec<&'static str> {
    let typed = typed.to_ascii_lowercase();
    // None of the list is longer, and a line of something else is not to be searched for.
    if typed.len() > WORD {
        return Vec::new();
    }
    Language::English
        .word_list()
        .iter()
        .copied()
        .filter(|word| is_slip(typed.as_bytes(), word.as_bytes()))
        .take(5)
        .collect()
}

fn is_slip(typed: &[u8], word: &[u8]) -> bool {
    let before = typed.iter().zip(word).take_while(|(a, b)| a == b).count();
    let (typed, word) = (typed.get(before..).unwrap_or_default(), word.get(before..).unwrap_or_default());
    let after = typed.iter().rev().zip(word.iter().rev()).take_while(|(a, b)| a == b).count();
    let typed = typed.get(..typed.len() - after).unwrap_or_default();
    match (typed, word.get(..word.len() - after).unwrap_or_default()) {
        ([], [_] | []) | ([_], [] | [_]) => true,
        ([a, b], [c, d]) => a == d && b == c,
        _ => false,
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A test vector of BIP-39's reference implementation (trezor/python-mnemonic, vectors.json).
    const ENTROPY: [u8; 32] = [
        0x06, 0x6d, 0xca, 0x1a, 0x2b, 0xb7, 0xe8, 0xa1, 0xdb, 0x28, 0x32, 0x14, 0x8c, 0xe9, 0x93, 0x3e, 0xea, 0x0f,
        0x3a, 0xc9, 0x54, 0x8d, 0x79, 0x31, 0x12, 0xd9, 0xa9, 0x5c, 0x94, 0x07, 0xef, 0xad,
    ];
    const PHRASE: &str = "all hour make first leader extend hole alien behind guard gospel lava path output census museum \
                          junior mass reopen famous sing advance salt reform";

    #[test]
    fn the_words_are_those_of_bip_39() {
        let key = RecoveryKey(Zeroizing::new(ENTROPY));
        assert_eq!(key.words().as_str(), PHRASE);
        assert_eq!(*RecoveryKey::from_words(PHRASE).unwrap().0, ENTROPY);
    }

    #[test]
    fn words_are_read_however_they_were_typed() {
        let typed = format!("  {}\n", PHRASE.to_uppercase().replace(' ', "\n\t"));
        assert_eq!(*RecoveryKey::from_words(&typed).unwrap().0, ENTROPY);
    }

    #[test]
    fn a_slip_of_the_pen_is_found_and_named() {
        assert_eq!(RecoveryKey::from_words("all hour").unwrap_err(), BadWords::Count(2));
        assert_eq!(RecoveryKey::from_words(&format!("{PHRASE} all")).unwrap_err(), BadWords::Count(25));
        let slip = PHRASE.replace("leader", "leder");
        assert_eq!(RecoveryKey::from_words(&slip).unwrap_err(), BadWords::Unknown(5));
        let long = PHRASE.replace("reform", "reformationsfest");
        assert_eq!(RecoveryKey::from_words(&long).unwrap_err(), BadWords::Unknown(24));
        let swapped = PHRASE.replace("all hour", "hour all");
        assert_eq!(RecoveryKey::from_words(&swapped).unwrap_err(), BadWords::Checksum);
    }

    #[test]
    fn words_that_were_meant_are_named() {
        assert_eq!(near_words("leder"), ["elder", "leader"]);
        assert_eq!(near_words("Gosple"), ["gospel"]);
        assert_eq!(near_words("museumm"), ["museum"]);
        assert!(near_words("fomous").contains(&"famous"));
        assert!(
            near_words("reformationsfest").is_empty() && near_words("xqzw").is_empty() && near_words("").is_empty()
        );
    }

    #[test]
    fn the_same_words_give_the_same_device_and_others_another() {
        let name = || DeviceName::new("paper").unwrap();
        let key = RecoveryKey::draw(Seed::from_os_random([1; 32]));
        let back = RecoveryKey::from_words(&key.words()).unwrap();
        assert_eq!(back.device(Expiry::NEVER, name()), key.device(Expiry::NEVER, name()));
        let other = RecoveryKey::draw(Seed::from_os_random([2; 32]));
        assert_ne!(other.device(Expiry::NEVER, name()), key.device(Expiry::NEVER, name()));
        assert_ne!(key.derive(b"doorframe/1 recovery signing"), key.derive(b"doorframe/1 recovery device"));
    }

    #[test]
    fn no_word_is_printed() {
        assert_eq!(format!("{:?}", RecoveryKey::draw(Seed::from_os_random([1; 32]))), "RecoveryKey(..)");
    }
}
