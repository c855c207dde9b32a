//! The cameras that this device was paired with.

use crate::link::{Alias, HubLink, WatchLink, unbase64};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorframe_transport::identity::VerifyingKey;
use doorframe_transport::moq::Trust;
use serde::{Deserialize, Serialize};
use std::fmt;
use url::Url;
use zeroize::{Zeroize as _, Zeroizing};

/// A camera, and where its hub is.
#[derive(Clone, PartialEq, Eq)]
pub struct PairedCamera {
    /// Its name at the hub.
    pub alias: Alias,
    /// Its identity, as its QR code said and it proved.
    pub identity: VerifyingKey,
    /// Where the hub is, without a token.
    pub hub: Url,
    /// How the hub proves who it is.
    pub trust: Trust,
    /// The token to watch with.
    pub token: String,
}

impl PairedCamera {
    /// At the hub of `link`.
    pub fn new(alias: Alias, identity: VerifyingKey, link: &HubLink) -> Self {
        let (hub, trust, token) = (link.hub(), link.dial.trust.clone(), link.watch_token.clone());
        Self { alias, identity, hub, trust, token }
    }

    /// All that a viewer needs whose X-Wing seed is `seed`. The keys that it had before are for who makes the link to add.
    pub fn watch_link(&self, seed: &[u8; 32]) -> WatchLink {
        WatchLink {
            page: None,
            hub: self.hub.clone(),
            trust: self.trust.clone(),
            token: self.token.clone(),
            camera: self.alias.clone(),
            identity: self.identity,
            device: Zeroizing::new(*seed),
            retired: Vec::new(),
        }
    }
}

impl fmt::Debug for PairedCamera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PairedCamera({}, {}, ..)", self.alias, self.identity.fingerprint())
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Cameras(Vec<PairedCamera>);

/// One in the file, which is JSON.
#[derive(Serialize, Deserialize)]
struct Kept {
    alias: String,
    identity: String,
    hub: String,
    cert: Option<String>,
    token: String,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.token.zeroize();
    }
}

impl Cameras {
    pub(super) fn iter(&self) -> impl Iterator<Item = &PairedCamera> {
        self.0.iter()
    }

    /// One of the same name is replaced.
    pub(super) fn put(&mut self, camera: PairedCamera) {
        match self.0.iter_mut().find(|kept| kept.alias == camera.alias) {
            Some(kept) => *kept = camera,
            None => self.0.push(camera),
        }
    }

    pub(super) fn emit(&self) -> Zeroizing<Vec<u8>> {
        let kept = |camera: &PairedCamera| Kept {
            alias: camera.alias.to_string(),
            identity: URL_SAFE_NO_PAD.encode(camera.identity.0),
            hub: camera.hub.to_string(),
            cert: match &camera.trust {
                Trust::Pinned(hash) => Some(URL_SAFE_NO_PAD.encode(hash)),
                Trust::Roots => None,
            },
            token: camera.token.clone(),
        };
        let all: Vec<Kept> = self.0.iter().map(kept).collect();
        // Strings always serialise.
        Zeroizing::new(serde_json::to_vec_pretty(&all).unwrap_or_default())
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let all: Vec<Kept> = serde_json::from_slice(bytes).map_err(|error| format!("line {}", error.line()))?;
        let key = |text: &str, what: &str| unbase64(text).ok_or_else(|| format!("a camera's {what} is no key"));
        let read = |kept: &Kept| {
            Ok::<_, String>(PairedCamera {
                alias: kept.alias.parse().map_err(|error: crate::link::BadAlias| error.to_string())?,
                identity: VerifyingKey(key(&kept.identity, "identity")?),
                hub: kept.hub.parse().map_err(|error| format!("a camera's hub: {error}"))?,
                trust: match &kept.cert {
                    Some(hash) => Trust::Pinned(key(hash, "certificate hash")?),
                    None => Trust::Roots,
                },
                token: kept.token.clone(),
            })
        };
        all.iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}
