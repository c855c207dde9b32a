//! What a camera's identity says of a session: that it is one of its own.

use super::{RecordError, SessionFacts};
use crate::identity::{SigningKey, VerifyingKey};
use crate::parse::Reader;

/// Length of a session manifest's body.
pub(crate) const BODY: usize = 132;
const LABEL: &[u8] = b"doorframe/1 session certificate";

/// A session manifest's body and the identity key's signature over it (`docs/wire.md` §4). It exists only where that holds, so whoever has one knows
/// which camera signs the session's epochs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionCertificate {
    facts: SessionFacts,
    camera: VerifyingKey,
    body: [u8; BODY],
    signature: [u8; 64],
}

impl SessionCertificate {
    /// Certifies a session of the camera whose `identity` this is.
    pub(crate) fn issue(facts: &SessionFacts, identity: &SigningKey) -> Self {
        let mut body = [0; BODY];
        body.iter_mut().zip(facts.emit()).for_each(|(to, from)| *to = from);
        let signature = identity.sign(LABEL, &body);
        Self { facts: facts.clone(), camera: identity.verifying_key(), body, signature }
    }

    /// Reads a body if `camera` signed it: `Ok(None)` if not.
    ///
    /// # Errors
    /// If the body is malformed or a field is out of range.
    pub fn verify(body: &[u8; BODY], signature: &[u8; 64], camera: &VerifyingKey) -> Result<Option<Self>, RecordError> {
        let mut reader = Reader::new(body);
        let facts = SessionFacts::parse(&mut reader)?;
        reader.end()?;
        let holds = camera.verifies(LABEL, body, signature);
        Ok(holds.then_some(Self { facts, camera: *camera, body: *body, signature: *signature }))
    }

    /// What everybody may read of the session.
    pub fn facts(&self) -> &SessionFacts {
        &self.facts
    }

    /// Identity key of the camera.
    pub fn camera(&self) -> VerifyingKey {
        self.camera
    }

    /// The session manifest's body.
    pub fn body(&self) -> &[u8; BODY] {
        &self.body
    }

    /// The identity key's signature over it.
    pub fn signature(&self) -> &[u8; 64] {
        &self.signature
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::DeviceKey;
    use crate::manifest::SessionManifest;
    use crate::seed::Seed;
    use crate::session::{Config, Session};
    use doorframe_codec::units::Uptime;

    #[test]
    fn whoever_opens_a_session_can_show_others_whose_it_is() {
        let identity = SigningKey::from_seed(&[1; 32]).unwrap();
        let device = DeviceKey::from_seed([2; 32]).unwrap();
        let config = Config::new(vec![device.public().clone()]);
        let (_, record) =
            Session::start(config, &identity, Seed::from_os_random([3; 32]), Uptime::default(), 4).unwrap();
        let camera = identity.verifying_key();
        let opened = SessionManifest::parse(&record).unwrap().open(&device, &camera).unwrap();
        let certificate = opened.certificate;
        assert_eq!(certificate.facts(), &opened.facts);
        let (body, signature) = (certificate.body(), certificate.signature());
        assert_eq!(SessionCertificate::verify(body, signature, &camera), Ok(Some(certificate.clone())));
        assert_eq!(SessionCertificate::issue(&opened.facts, &identity), certificate);
        let other = SigningKey::from_seed(&[5; 32]).unwrap().verifying_key();
        assert_eq!(SessionCertificate::verify(body, signature, &other), Ok(None));
        for at in 0..BODY {
            let mut changed = *body;
            changed[at] ^= 1;
            assert!(!matches!(SessionCertificate::verify(&changed, signature, &camera), Ok(Some(_))), "byte {at}");
        }
    }
}
