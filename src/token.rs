//! Tokens: who may publish and who may subscribe at a hub (`docs/wire.md` §9).

use crate::wall_us;
use doorframe_transport::moq::relay::Access;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// What a token lets its holder do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Scope: the first part of the path that the holder connects to.
    pub root: String,
    /// Prefixes below it that may be published to; an empty one is everything.
    pub put: Vec<String>,
    /// Prefixes below it that may be subscribed to.
    pub get: Vec<String>,
    /// Expiry, s since 1970.
    pub exp: u64,
}

impl Claims {
    /// For a camera: it publishes what it likes, and reads viewers' challenges and what the recorder has stored.
    pub fn camera(scope: &str, expires_s: u64) -> Self {
        let get = vec!["viewer".into(), "stored".into()];
        Self { root: scope.into(), put: vec![String::new()], get, exp: expires_s }
    }

    /// For a viewer: it reads what it likes, and publishes its challenge.
    pub fn viewer(scope: &str, expires_s: u64) -> Self {
        Self { root: scope.into(), put: vec!["viewer".into()], get: vec![String::new()], exp: expires_s }
    }
}

/// Why a hub turns somebody away. What it says is what the person reads.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No token in the address.
    #[error("no token: use the whole link that the hub printed")]
    Missing,
    /// Not one of this hub's, or changed.
    #[error("this token is not from this hub: get a new link from whoever runs it")]
    Forged,
    /// Too old.
    #[error("this token has expired: get a new link from whoever runs the hub")]
    Expired,
    /// For another scope than the one asked for.
    #[error("this token is for {0}, not for {1}")]
    Scope(String, String),
}

/// Makes and checks a hub's tokens. Never leaves the hub.
pub struct TokenKey {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

/// Clocks may differ by this much before a token counts as expired.
const LEEWAY: Duration = Duration::from_secs(60);

impl TokenKey {
    /// From 32 secret bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self { encoding: EncodingKey::from_secret(secret), decoding: DecodingKey::from_secret(secret) }
    }

    /// A token with these claims.
    pub fn mint(&self, claims: &Claims) -> String {
        // Strings and numbers always serialise; an empty token would be refused.
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding).unwrap_or_default()
    }

    /// What the holder of `token` may do at `path`, the one it connected to.
    ///
    /// # Errors
    /// Why not, in words for a person.
    pub fn check(&self, path: &str, token: Option<&str>) -> Result<Access, Refusal> {
        let token = token.filter(|t| !t.is_empty()).ok_or(Refusal::Missing)?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY.as_secs();
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation)
            .map_err(|error| match error.kind() {
                jsonwebtoken::errors::ErrorKind::ExpiredSignature => Refusal::Expired,
                _ => Refusal::Forged,
            })?
            .claims;
        let scope = path.trim_matches('/');
        if scope != claims.root {
            return Err(Refusal::Scope(claims.root, scope.into()));
        }
        let expires_in = Duration::from_secs(claims.exp.saturating_sub(wall_us() / 1_000_000)).max(LEEWAY);
        Ok(Access { scope: claims.root, publish: claims.put, subscribe: claims.get, expires_in })
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: u64 = 4_000_000_000;

    #[test]
    fn a_token_opens_its_own_scope_and_no_other() {
        let key = TokenKey::new(&[1; 32]);
        let token = key.mint(&Claims::viewer("door", LATER));
        let access = key.check("/door", Some(&token)).unwrap();
        assert_eq!(access.publish, ["viewer"]);
        assert_eq!(access.subscribe, [""]);
        assert_eq!(key.check("/garden", Some(&token)), Err(Refusal::Scope("door".into(), "garden".into())));
    }

    #[test]
    fn missing_forged_and_expired_are_told_apart() {
        let (key, other) = (TokenKey::new(&[1; 32]), TokenKey::new(&[2; 32]));
        assert_eq!(key.check("/door", None), Err(Refusal::Missing));
        assert_eq!(key.check("/door", Some("")), Err(Refusal::Missing));
        assert_eq!(key.check("/door", Some("junk")), Err(Refusal::Forged));
        let forged = other.mint(&Claims::viewer("door", LATER));
        assert_eq!(key.check("/door", Some(&forged)), Err(Refusal::Forged));
        let expired = key.mint(&Claims::viewer("door", 1_000_000));
        assert_eq!(key.check("/door", Some(&expired)), Err(Refusal::Expired));
    }

    #[test]
    fn a_token_without_a_signature_is_forged() {
        // {"alg":"none","typ":"JWT"} with a viewer's claims.
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJyb290IjoiZG9vciIsInB1dCI6W10sImdldCI6WyIiXSwiZXhwIjo0MDAwMDAwMDAwfQ.";
        assert_eq!(TokenKey::new(&[1; 32]).check("/door", Some(none)), Err(Refusal::Forged));
    }
}
