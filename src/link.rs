//! Links: all that a camera needs to publish, and all that a viewer needs to watch, each in one line of text.

use crate::vault::PairedCamera;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorframe_transport::identity::{BadKey, DeviceKey, VerifyingKey};
use doorframe_transport::moq::{Dial, Trust};
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use url::Url;
use zeroize::Zeroizing;

/// Why a text is not a link. Says what is wrong with it, never what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Not a URL at all.
    #[error("this is not a link: {0}")]
    Url(#[from] url::ParseError),
    /// A part is not there.
    #[error("the link has no {0}: copy it whole, up to its last character, and in quotes")]
    Missing(&'static str),
    /// A part does not parse.
    #[error("the link's {0} is damaged: copy it whole, up to its last character, and in quotes")]
    Bad(&'static str),
    /// Of several cameras, where one is needed.
    #[error("the link is of {0} cameras, and this command takes one: give it the link of one")]
    Several(usize),
    /// From a newer program.
    #[error("the link is of version {0}, this program knows 1: update it")]
    Version(String),
}

/// Name of a camera at its hub: 1 to 64 of `a`-`z`, `0`-`9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Alias(String);

/// What broadcasts of other kinds begin with.
const RESERVED: [&str; 4] = ["viewer", "store", "stored", "spool"];

/// A name that is no [`Alias`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a camera name: 1 to 64 of a-z, 0-9 and -")]
pub struct BadAlias(String);

impl Alias {
    /// The name of a first camera.
    pub fn front_door() -> Self {
        Self("front-door".into())
    }
}

impl FromStr for Alias {
    type Err = BadAlias;

    fn from_str(name: &str) -> Result<Self, BadAlias> {
        let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) || RESERVED.contains(&name) {
            return Err(BadAlias(name.into()));
        }
        Ok(Self(name.into()))
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a camera needs to publish: `https://HOST:PORT/SCOPE?jwt=TOKEN#cert=HASH&watch=TOKEN`. Secret: whoever has it can publish.
#[derive(Clone, PartialEq, Eq)]
pub struct HubLink {
    /// Where the hub is, with the camera's token.
    pub dial: Dial,
    /// The token to hand on to viewers.
    pub watch_token: String,
}

/// What a viewer needs to watch (`docs/wire.md` §8). Secret: whoever has it can watch.
#[derive(Clone, PartialEq, Eq)]
pub struct WatchLink {
    /// Where the page is served; `None` for a link that is only for the native viewer.
    pub page: Option<Url>,
    /// Where the hub is, without a token.
    pub hub: Url,
    /// How the hub proves who it is.
    pub trust: Trust,
    /// The viewer's token.
    pub token: String,
    /// The camera's name.
    pub camera: Alias,
    /// The camera's identity.
    pub identity: VerifyingKey,
    /// Seed of the viewer's device key.
    pub device: Zeroizing<[u8; 32]>,
    /// Seeds of the keys that the device had before, the newest first, up to [`MOST_RETIRED`]: older sessions are sealed to them.
    pub retired: Vec<Zeroizing<[u8; 32]>>,
}

/// Retired keys in a link at most: those of a year, at one a week.
pub const MOST_RETIRED: usize = 52;

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(bytes)
}

pub(crate) fn unbase64(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// The fragment's fields. One that is there twice could mean two things, so it means none.
pub(crate) fn fields(url: &Url) -> Result<HashMap<String, String>, LinkError> {
    let mut fields = HashMap::new();
    for (name, value) in url::form_urlencoded::parse(url.fragment().unwrap_or_default().as_bytes()).into_owned() {
        if fields.insert(name, value).is_some() {
            return Err(LinkError::Bad("text: a part is there twice"));
        }
    }
    Ok(fields)
}

pub(crate) fn trust(fields: &HashMap<String, String>) -> Result<Trust, LinkError> {
    match fields.get("cert") {
        Some(hash) => unhex(hash).map(Trust::Pinned).ok_or(LinkError::Bad("certificate hash")),
        None => Ok(Trust::Roots),
    }
}

impl FromStr for HubLink {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let mut url = Url::parse(text.trim())?;
        if url.scheme() != "https" {
            return Err(LinkError::Bad("address (https://host:port/scope)"));
        }
        let fields = fields(&url)?;
        let trust = trust(&fields)?;
        let watch_token = fields.get("watch").ok_or(LinkError::Missing("watch token"))?.clone();
        if !url.query_pairs().any(|(k, _)| k == "jwt") {
            return Err(LinkError::Missing("token"));
        }
        url.set_fragment(None);
        Ok(Self { dial: Dial { url, trust }, watch_token })
    }
}

impl fmt::Display for HubLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fragment = url::form_urlencoded::Serializer::new(String::new());
        if let Trust::Pinned(hash) = &self.dial.trust {
            fragment.append_pair("cert", &hex(hash));
        }
        fragment.append_pair("watch", &self.watch_token);
        write!(f, "{}#{}", self.dial.url, fragment.finish())
    }
}

impl fmt::Debug for HubLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubLink(..)")
    }
}

impl HubLink {
    /// The hub's address without a token.
    pub fn hub(&self) -> Url {
        let mut url = self.dial.url.clone();
        url.set_query(None);
        url
    }
}

impl WatchLink {
    /// Keys that open what is sealed to the viewer's device, the newest first.
    ///
    /// # Errors
    /// [`BadKey`] if one is none.
    pub fn devices(&self) -> Result<Vec<DeviceKey>, BadKey> {
        std::iter::once(&self.device).chain(&self.retired).map(|seed| DeviceKey::from_seed(**seed)).collect()
    }

    /// How to reach the hub.
    pub fn dial(&self) -> Dial {
        let mut url = self.hub.clone();
        url.query_pairs_mut().append_pair("jwt", &self.token);
        Dial { url, trust: self.trust.clone() }
    }
}

/// Seeds with `.` between.
fn seeds(text: &str) -> Result<Vec<Zeroizing<[u8; 32]>>, LinkError> {
    if text.split('.').count() > MOST_RETIRED {
        return Err(LinkError::Bad("retired keys: there are more than 52"));
    }
    let seed = |text| unbase64(text).map(Zeroizing::new).ok_or(LinkError::Bad("retired keys"));
    text.split('.').map(seed).collect()
}

/// A camera and its hub, in the fields that all links to a camera have.
pub(crate) fn camera(fields: &HashMap<String, String>) -> Result<PairedCamera, LinkError> {
    let field = |name: &'static str, words| fields.get(name).ok_or(LinkError::Missing(words));
    match field("v", "version")?.as_str() {
        "1" => {}
        other => return Err(LinkError::Version(other.chars().take(8).collect())),
    }
    let hub = Url::parse(field("hub", "hub")?)?;
    if hub.scheme() != "https" {
        return Err(LinkError::Bad("hub (https://host:port/scope)"));
    }
    let identity = unbase64(field("identity", "camera identity")?).ok_or(LinkError::Bad("camera identity"))?;
    Ok(PairedCamera {
        alias: field("camera", "camera")?.parse().map_err(|_| LinkError::Bad("camera name"))?,
        identity: VerifyingKey(identity),
        hub,
        trust: trust(fields)?,
        token: field("token", "token")?.clone(),
    })
}

impl FromStr for WatchLink {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let mut url = Url::parse(text.trim())?;
        let cameras = url.fragment().unwrap_or_default().split(';').count();
        if cameras > 1 {
            return Err(LinkError::Several(cameras));
        }
        let fields = fields(&url)?;
        let PairedCamera { alias, identity, hub, trust, token } = camera(&fields)?;
        let device = fields.get("device").ok_or(LinkError::Missing("device key"))?;
        let device = unbase64(device).ok_or(LinkError::Bad("device key"))?;
        let retired = fields.get("retired").map_or(Ok(Vec::new()), |text| seeds(text));
        let (device, retired) = (Zeroizing::new(device), retired?);
        let link = Self { hub, trust, token, camera: alias, identity, device, retired, page: None };
        url.set_fragment(None);
        Ok(Self { page: matches!(url.scheme(), "http" | "https").then_some(url), ..link })
    }
}

impl fmt::Display for WatchLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let page = self.page.as_ref().map_or("doorframe://watch", Url::as_str);
        write!(f, "{page}#{}", self.fragment(None))
    }
}

impl WatchLink {
    /// What stands behind `#`; of several links, without what is as in the one `before`.
    pub(crate) fn fragment(&self, before: Option<&Self>) -> String {
        let mut fields = url::form_urlencoded::Serializer::new(String::new());
        let there = before.filter(|before| before.hub == self.hub && before.trust == self.trust);
        if before.is_none() {
            fields.append_pair("v", "1");
        }
        if there.is_none() {
            fields.append_pair("hub", self.hub.as_str());
            if let Trust::Pinned(hash) = &self.trust {
                fields.append_pair("cert", &hex(hash));
            }
        }
        if there.is_none_or(|before| before.token != self.token) {
            fields.append_pair("token", &self.token);
        }
        fields.append_pair("camera", &self.camera.0).append_pair("identity", &URL_SAFE_NO_PAD.encode(self.identity.0));
        if before.is_none_or(|before| before.device != self.device || before.retired != self.retired) {
            fields.append_pair("device", &URL_SAFE_NO_PAD.encode(self.device.as_slice()));
            let retired = self.retired.iter().take(MOST_RETIRED).map(|seed| URL_SAFE_NO_PAD.encode(seed.as_slice()));
            let retired = Zeroizing::new(retired.collect::<Vec<_>>().join("."));
            if !retired.is_empty() {
                fields.append_pair("retired", &retired);
            }
        }
        fields.finish()
    }
}

impl fmt::Debug for WatchLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WatchLink({}, ..)", self.camera)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> WatchLink {
        WatchLink {
            page: Url::parse("http://127.0.0.1:8490/").ok(),
            hub: Url::parse("https://127.0.0.1:4443/door").unwrap(),
            trust: Trust::Pinned([0xab; 32]),
            token: "a.b-c_d".into(),
            camera: "front-door".parse().unwrap(),
            identity: VerifyingKey([1; 32]),
            device: Zeroizing::new([2; 32]),
            retired: Vec::new(),
        }
    }

    #[test]
    fn links_read_back() {
        let watch = watch();
        assert_eq!(watch.to_string().parse(), Ok(watch.clone()));
        let bare = WatchLink { page: None, trust: Trust::Roots, ..watch };
        assert_eq!(bare.to_string().parse(), Ok(bare));
        let mut url = Url::parse("https://[::1]:4443/door").unwrap();
        url.query_pairs_mut().append_pair("jwt", "x.y");
        let hub = HubLink { dial: Dial { url, trust: Trust::Pinned([7; 32]) }, watch_token: "z".into() };
        assert_eq!(hub.to_string().parse(), Ok(hub));
    }

    #[test]
    fn keys_that_a_device_had_before_are_in_its_link_newest_first() {
        let retired = [3, 4].map(|seed| Zeroizing::new([seed; 32])).to_vec();
        let link = WatchLink { retired, ..watch() };
        let text = link.to_string();
        assert_eq!(text.parse(), Ok(link.clone()));
        let seeds: Vec<u8> = link.devices().unwrap().iter().map(|key| key.seed()[0]).collect();
        assert_eq!(seeds, [2, 3, 4]);
        assert!(text.starts_with(&watch().to_string()), "an older program reads what it knows: {text}");
        let cut = text[..text.len() - 5].parse::<WatchLink>();
        assert_eq!(cut, Err(LinkError::Bad("retired keys")));
        let many = WatchLink { retired: vec![Zeroizing::new([5; 32]); MOST_RETIRED + 3], ..watch() }.to_string();
        assert_eq!(many.parse::<WatchLink>().unwrap().retired.len(), MOST_RETIRED);
        let more = format!("{many}.{}", URL_SAFE_NO_PAD.encode([5; 32])).parse::<WatchLink>();
        assert!(more.unwrap_err().to_string().contains("more than 52"));
    }

    #[test]
    fn what_is_missing_is_named_and_no_secret_is_told() {
        let whole = watch().to_string();
        for (part, words) in [("&token=a.b-c_d", "token"), ("&camera=front-door", "camera"), ("v=1&", "version")] {
            let error = whole.replace(part, "").parse::<WatchLink>().unwrap_err();
            assert_eq!(error, LinkError::Missing(words));
        }
        let cut = &whole[..whole.len() - 5];
        let error = cut.parse::<WatchLink>().unwrap_err();
        assert_eq!(error, LinkError::Bad("device key"));
        assert!(matches!("hello".parse::<WatchLink>(), Err(LinkError::Url(_))));
        let newer = whole.replace("v=1", "v=2").parse::<WatchLink>();
        assert_eq!(newer, Err(LinkError::Version("2".into())));
        let several = format!("{whole};camera=back").parse::<WatchLink>();
        assert_eq!(several, Err(LinkError::Several(2)));
        assert_eq!(format!("{:?}", watch()), "WatchLink(front-door, ..)");
    }

    #[test]
    fn camera_names_cannot_reach_out_of_their_place() {
        for bad in ["", "Front", "a/b", "..", "viewer", "store", "a b", &"x".repeat(65)] {
            assert!(bad.parse::<Alias>().is_err(), "{bad:?}");
        }
    }
}
