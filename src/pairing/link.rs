//! The two lines of text of a pairing: what the QR code says, and where a camera's hub is.

use crate::link::{Alias, HubLink, LinkError, fields, hex, trust, unbase64, unhex};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorframe_transport::identity::VerifyingKey;
use doorframe_transport::moq::{Dial, Trust};
use doorframe_transport::pairing::{self, PairingSecret};
use std::fmt;
use std::str::FromStr;
use url::Url;
use zeroize::Zeroizing;

/// What the QR code says. Secret for ten minutes: who has it first owns the camera.
pub struct PairLink {
    /// Host and port of the camera in the local network; an IPv6 address in brackets.
    pub at: String,
    /// Hash of its certificate for this once.
    pub certificate: [u8; 32],
    /// Its identity.
    pub identity: VerifyingKey,
    /// For this once.
    pub secret: PairingSecret,
}

impl FromStr for PairLink {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let url = Url::parse(text.trim())?;
        if url.scheme() != "doorframe" || url.host_str() != Some("pair") {
            return Err(LinkError::Bad("beginning (doorframe://pair#)"));
        }
        let fields = fields(&url)?;
        let field = |name: &'static str, words| fields.get(name).ok_or(LinkError::Missing(words));
        match field("v", "version")?.as_str() {
            "1" => {}
            other => return Err(LinkError::Version(other.chars().take(8).collect())),
        }
        let at = field("at", "address")?.clone();
        let fits = at.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        let identity = unbase64(field("identity", "camera identity")?).ok_or(LinkError::Bad("camera identity"))?;
        let secret = URL_SAFE_NO_PAD.decode(field("secret", "secret")?).map(Zeroizing::new);
        let secret = secret.ok().and_then(|bytes| bytes.as_slice().try_into().ok());
        Ok(Self {
            at: fits.then_some(at).ok_or(LinkError::Bad("address (host:port)"))?,
            certificate: unhex(field("cert", "certificate hash")?).ok_or(LinkError::Bad("certificate hash"))?,
            identity: VerifyingKey(identity),
            secret: PairingSecret::from_bytes(secret.ok_or(LinkError::Bad("secret"))?),
        })
    }
}

impl fmt::Display for PairLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = url::form_urlencoded::Serializer::new(String::new());
        fields
            .append_pair("v", "1")
            .append_pair("at", &self.at)
            .append_pair("cert", &hex(&self.certificate))
            .append_pair("identity", &URL_SAFE_NO_PAD.encode(self.identity.0))
            .append_pair("secret", &URL_SAFE_NO_PAD.encode(self.secret.bytes()));
        write!(f, "doorframe://pair#{}", fields.finish())
    }
}

impl fmt::Debug for PairLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PairLink({}, ..)", self.at)
    }
}

/// Where a camera's hub is, and under which name it publishes there, as its owner says: `hub=URL&cert=SHA256&token=JWT&camera=ALIAS`.
#[derive(Clone, PartialEq, Eq)]
pub struct CameraHub {
    /// The hub, with the camera's token in its address.
    pub dial: Dial,
    /// The camera's name.
    pub camera: Alias,
}

impl CameraHub {
    /// For the camera named `camera` at the hub of `link`.
    pub fn new(link: &HubLink, camera: Alias) -> Self {
        Self { dial: link.dial.clone(), camera }
    }

    /// As a camera takes it; there is no token for viewers in it.
    pub fn link(&self) -> HubLink {
        HubLink { dial: self.dial.clone(), watch_token: String::new() }
    }

    /// As a pairing carries it.
    ///
    /// # Errors
    /// If the address has no token, or it is too long for a message.
    pub fn to_message(&self) -> Result<pairing::HubLink, LinkError> {
        let token = self.dial.url.query_pairs().find(|(name, _)| name == "jwt");
        let (_, token) = token.ok_or(LinkError::Missing("token"))?;
        let mut hub = self.dial.url.clone();
        hub.set_query(None);
        hub.set_fragment(None);
        let mut fields = url::form_urlencoded::Serializer::new(String::new());
        fields.append_pair("hub", hub.as_str());
        if let Trust::Pinned(hash) = &self.dial.trust {
            fields.append_pair("cert", &hex(hash));
        }
        fields.append_pair("token", &token).append_pair("camera", &self.camera.to_string());
        let text = Zeroizing::new(fields.finish());
        pairing::HubLink::new(&text).ok_or(LinkError::Bad("hub: its address and token are too long"))
    }
}

impl FromStr for CameraHub {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        // The same parts as a link's fragment, and read by the same rules.
        let mut carrier = Url::parse("doorframe://hub")?;
        carrier.set_fragment(Some(text));
        let fields = fields(&carrier)?;
        let field = |name: &'static str, words| fields.get(name).ok_or(LinkError::Missing(words));
        let mut url = Url::parse(field("hub", "hub")?)?;
        if url.scheme() != "https" {
            return Err(LinkError::Bad("hub (https://host:port/scope)"));
        }
        url.query_pairs_mut().append_pair("jwt", field("token", "token")?);
        let camera = field("camera", "camera")?.parse().map_err(|_| LinkError::Bad("camera name"))?;
        Ok(Self { dial: Dial { url, trust: trust(&fields)? }, camera })
    }
}

impl fmt::Debug for CameraHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CameraHub({}, ..)", self.camera)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> PairLink {
        PairLink {
            at: "[fe80::1]:40123".into(),
            certificate: [0xab; 32],
            identity: VerifyingKey([1; 32]),
            secret: PairingSecret::from_bytes([2; 16]),
        }
    }

    #[test]
    fn a_pairing_link_reads_back() {
        let text = link().to_string();
        let back: PairLink = text.parse().unwrap();
        assert_eq!((&back.at, back.certificate, back.identity.0), (&link().at, [0xab; 32], [1; 32]));
        assert_eq!(back.secret.bytes(), &[2; 16]);
        assert_eq!(back.to_string(), text);
    }

    #[test]
    fn what_is_wrong_with_a_link_is_named_and_its_secret_is_not() {
        let whole = link().to_string();
        let error = |text: &str| text.parse::<PairLink>().unwrap_err();
        assert_eq!(error(&whole[..whole.len() - 2]), LinkError::Bad("secret"));
        assert_eq!(error(&whole.replace("v=1", "v=2")), LinkError::Version("2".into()));
        assert_eq!(error(&whole.replace("40123", "4012345")), LinkError::Bad("address (host:port)"));
        assert_eq!(error(&whole.replace("pair#", "watch#")), LinkError::Bad("beginning (doorframe://pair#)"));
        assert_eq!(format!("{:?}", link()), "PairLink([fe80::1]:40123, ..)");
    }

    #[test]
    fn a_camera_reads_where_its_hub_is_from_what_it_is_given() {
        let mut url = Url::parse("https://[::1]:4443/home").unwrap();
        url.query_pairs_mut().append_pair("jwt", "a.b&c=d");
        for trust in [Trust::Pinned([7; 32]), Trust::Roots] {
            let link = HubLink { dial: Dial { url: url.clone(), trust }, watch_token: "w".into() };
            let hub = CameraHub::new(&link, Alias::front_door());
            assert_eq!(hub.to_message().unwrap().as_str().parse(), Ok(hub));
        }
    }
}
