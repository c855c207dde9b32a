//! Bundles as files: `.dfb`, as they are, or `.html`, with the page that shows them (`docs/format.md`, "Bundle").

use crate::archive::{Archive, ArchiveError, Recording};
use crate::link::WatchLink;
use crate::state::{StateError, random, random32};
use crate::wall_us;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use doorframe_transport::bundle::{Bundle, BundleError, BundlePart, BundleRefused, MAX_BUNDLE};
use doorframe_transport::devices::Expiry;
use doorframe_transport::grant::{Grant, GrantError, GrantId, GrantTerms, SpanRefused};
use doorframe_transport::identity::{BadKey, DeviceKey, DevicePublicKey, SigningKey};
use doorframe_transport::seed::Seed;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use zeroize::Zeroizing;

/// Why nothing is handed over.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HandError {
    /// The recordings are not read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A span that the session does not have.
    #[error(transparent)]
    Span(#[from] SpanRefused),
    /// The grant cannot be made.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The bundle cannot be made.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A key that is none.
    #[error(transparent)]
    Key(#[from] BadKey),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] StateError),
    /// What is only granted to this device.
    #[error("what was granted is not granted on: ask its owner to grant it to them too")]
    Granted,
    /// Too large for a page.
    #[error("{0} bytes are too much for a page, which carries 128 MiB: hand over a shorter time, or a .dfb file")]
    Page(usize),
}

/// Why a file is no bundle that opens: one sentence for a person.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BundleFileError {
    /// A page without a bundle in it.
    #[error("there is no bundle in this page: it was cut off, or saved anew by a program that left it out")]
    NoBundle,
    /// What is in it is not taken.
    #[error(transparent)]
    Refused(#[from] BundleRefused),
}

/// What opens a bundle: 32 bytes, as 43 characters of base64url. Whoever has both can watch. Never printed by accident.
#[derive(Clone)]
pub struct BundleKey(Zeroizing<[u8; 32]>);

/// A text that is no [`BundleKey`]. Does not say what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this is not the key of a bundle: it has 43 characters, and stands behind #k= in the link")]
pub struct BadBundleKey;

impl BundleKey {
    /// A new one, for one bundle.
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn fresh() -> Result<Self, StateError> {
        Ok(Self(Zeroizing::new(random32()?)))
    }

    /// The X-Wing key that it is the seed of.
    ///
    /// # Errors
    /// If the library refuses it.
    pub fn device(&self) -> Result<DeviceKey, BadKey> {
        DeviceKey::from_seed(*self.0)
    }

    /// The characters. Secret.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.as_slice())
    }
}

impl FromStr for BundleKey {
    type Err = BadBundleKey;

    /// From the characters, or a link that ends in `#k=` and them.
    fn from_str(text: &str) -> Result<Self, BadBundleKey> {
        let text = text.trim();
        let text = text.rsplit_once("#k=").map_or(text, |(_, key)| key);
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| Self(Zeroizing::new(bytes))).ok_or(BadBundleKey)
    }
}

impl fmt::Debug for BundleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BundleKey(..)")
    }
}

/// The signing key of who holds a link: made from the link's device key, so that it is the same each time.
///
/// # Errors
/// If the library refuses it.
pub fn signer_of(link: &WatchLink) -> Result<SigningKey, BadKey> {
    let mut seed = Zeroizing::new([0; 32]);
    let salt = aws_lc_rs::hkdf::Salt::new(aws_lc_rs::hkdf::HKDF_SHA256, &[]);
    let prk = salt.extract(link.device.as_slice());
    let expanded = prk.expand(&[b"doorframe/1 link signing"], aws_lc_rs::hkdf::HKDF_SHA256);
    // 32 bytes of SHA-256 cannot fail (RFC 5869 §2.3 allows 255 blocks).
    let _filled = expanded.and_then(|okm| okm.fill(seed.as_mut_slice()));
    SigningKey::from_seed(&seed)
}

/// Keys of exactly the epochs of `recording`, for `recipient`, signed by `granter`.
///
/// # Errors
/// If they do not fit one grant.
pub fn grant(
    recording: &Recording,
    recipient: &DevicePublicKey,
    granter: &SigningKey,
    expiry: Expiry,
) -> Result<Grant, HandError> {
    let mut parts = Vec::new();
    for piece in recording.pieces() {
        parts.push(piece.session.cover(piece.rounded.epochs)?.ok_or(HandError::Granted)?);
    }
    let terms = GrantTerms { id: GrantId(random()?), made_wall_us: wall_us(), expiry };
    Ok(Grant::emit(&parts, recipient, granter, terms, Seed::from_os_random(random32()?))?)
}

/// The bundle of `recording`, opened by `key`. Gives what is wrong with the recordings as well, in words.
///
/// # Errors
/// If the recordings are not read, or are too much for one bundle.
pub async fn bundle(
    archive: &mut Archive,
    mut recording: Recording,
    key: &BundleKey,
    maker: &SigningKey,
) -> Result<(Bytes, Vec<String>), HandError> {
    let grant = grant(&recording, key.device()?.public(), maker, Expiry::NEVER)?;
    let part = |piece: &crate::archive::Piece| BundlePart {
        certificate: piece.session.certificate().clone(),
        epochs: piece.rounded.epochs,
        files: Vec::new(),
    };
    let mut parts: Vec<_> = recording.pieces().iter().map(part).collect();
    let mut bytes = 0;
    while let Some(played) = recording.next(archive).await? {
        bytes += played.file.len();
        if bytes > MAX_BUNDLE {
            return Err(BundleError::TooLarge(bytes).into());
        }
        if let Some(part) = parts.get_mut(played.piece) {
            part.files.push((played.epoch, played.file));
        }
    }
    parts.retain(|part| !part.files.is_empty());
    let gaps = recording.faults().map(ToString::to_string).collect();
    Ok((Bundle::emit(&parts, &grant, wall_us(), maker)?, gaps))
}

/// The page, without a bundle in it.
const PAGE: &str = include_str!("../viewer/dist/bundle.html");
/// What stands where the bundle goes.
const PLACE: &str = "@BUNDLE@";
/// Around it, in the page.
const BEFORE: &str = "<script id=\"bundle\" type=\"text/plain\">";
const AFTER: &str = "</script>";
/// Largest bundle in a page, in bytes: browsers take no much longer text.
const MAX_PAGE: usize = 128 << 20;

/// A page with `bundle` in it, which needs nothing else.
///
/// # Errors
/// If the bundle is too large for one.
pub fn page(bundle: &[u8]) -> Result<String, HandError> {
    if bundle.len() > MAX_PAGE {
        return Err(HandError::Page(bundle.len()));
    }
    Ok(PAGE.replacen(PLACE, &STANDARD.encode(bundle), 1))
}

/// The bundle of a file, be it a page or a bundle by itself. The maker's signature and the certificates hold; its epochs are not checked.
///
/// # Errors
/// If it is neither.
pub fn parse(file: Bytes) -> Result<Bundle, BundleFileError> {
    Ok(Bundle::parse(&unwrapped(file)?)?)
}

fn unwrapped(file: Bytes) -> Result<Bytes, BundleFileError> {
    if !file.first().is_some_and(|first| *first == b'<' || first.is_ascii_whitespace()) {
        return Ok(file);
    }
    let text = std::str::from_utf8(&file).map_err(|_| BundleFileError::NoBundle)?;
    let (_, rest) = text.split_once(BEFORE).ok_or(BundleFileError::NoBundle)?;
    let (base64, _) = rest.split_once(AFTER).ok_or(BundleFileError::NoBundle)?;
    let bytes = STANDARD.decode(base64.trim()).map_err(|_| BundleFileError::NoBundle)?;
    Ok(bytes.into())
}
