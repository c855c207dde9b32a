//! What a person writes to say which camera of a network.

use percent_encoding::percent_decode_str;
use retina::client::Credentials;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use url::Url;
use zeroize::Zeroizing;

/// Where an RTSP camera is, and what it wants to know of who watches.
///
/// `rtsp://USER:PASSWORD@HOST:PORT/PATH`. Everything but the host may be left out; the port is then 554. What is special
/// in a user name or a password is percent-encoded, `@` as `%40`.
///
/// It is shown without what may be secret: user name and password, the query, and those parts of the path that have a
/// `=` in them, where some cameras take a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RtspAddress {
    /// Without a user name and a password.
    url: Url,
    login: Option<Login>,
}

#[derive(Clone)]
struct Login {
    user: Zeroizing<String>,
    password: Zeroizing<String>,
}

/// Why a text is no address. Says nothing of what is in it: that may be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Not a URL.
    #[error("this is no URL")]
    NotAUrl,
    /// Another scheme.
    #[error("this does not begin with rtsp://")]
    Scheme,
    /// No host.
    #[error("the host is missing")]
    NoHost,
    /// Not text once it is decoded, or with control characters, which no camera takes.
    #[error("user name or password is no text")]
    Login,
}

impl FromStr for RtspAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut url = Url::parse(text).map_err(|_| AddressError::NotAUrl)?;
        if url.scheme() != "rtsp" {
            return Err(AddressError::Scheme);
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(AddressError::NoHost);
        }
        let login = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => {
                let (user, password) = (decode(user)?, decode(password.unwrap_or_default())?);
                Some(Login { user, password })
            }
        };
        url.set_password(None).and_then(|()| url.set_username("")).map_err(|()| AddressError::NoHost)?;
        url.set_fragment(None);
        Ok(Self { url, login })
    }
}

fn decode(text: &str) -> Result<Zeroizing<String>, AddressError> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| AddressError::Login)?;
    if decoded.chars().any(char::is_control) {
        Err(AddressError::Login)
    } else {
        Ok(Zeroizing::new(decoded.into_owned()))
    }
}

impl RtspAddress {
    /// Without a user name and a password.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// A copy of user name and password, if it has them. Who takes it cannot wipe it.
    pub(super) fn credentials(&self) -> Option<Credentials> {
        let login = self.login.as_ref()?;
        Some(Credentials { username: login.user.to_string(), password: login.password.to_string() })
    }
}

impl fmt::Display for RtspAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rtsp://{}", self.url.host_str().unwrap_or_default())?;
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        for part in self.url.path().split('/').skip(1) {
            write!(f, "/{}", if part.contains('=') { "…" } else { part })?;
        }
        if self.url.query().is_some() { f.write_str("?…") } else { Ok(()) }
    }
}

impl fmt::Debug for RtspAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RtspAddress({self})")
    }
}

impl PartialEq for Login {
    fn eq(&self, other: &Self) -> bool {
        let same =
            |a: &str, b: &str| aws_lc_rs::constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok();
        same(&self.user, &other.user) & same(&self.password, &other.password)
    }
}

impl Eq for Login {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> RtspAddress {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        for (text, shown) in [
            ("rtsp://10.0.0.9/stream1", "rtsp://10.0.0.9/stream1"),
            ("rtsp://cam.lan:8554/a/b", "rtsp://cam.lan:8554/a/b"),
            ("RTSP://[fe80::1]:554/", "rtsp://[fe80::1]:554/"),
            ("rtsp://host", "rtsp://host"),
            ("rtsp://gate:hunter2@host:1554/a", "rtsp://host:1554/a"),
            ("rtsp://gate:hun@ter2@host/a", "rtsp://host/a"),
            ("rtsp://:hunter2@host/a", "rtsp://host/a"),
            ("rtsp://host/a?user=gate&password=hunter2", "rtsp://host/a?…"),
            ("rtsp://host/user=gate_password=hunter2_channel=1/x#hunter2", "rtsp://host/…/x"),
        ] {
            let address = parse(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), format!("RtspAddress({shown})"));
        }
    }

    #[test]
    fn user_name_and_password_are_decoded_and_taken_out_of_the_url() {
        let address = parse("rtsp://ga%20te:p%40ss%3Aw%c3%b6rd@host/a?b=c#d");
        let credentials = address.credentials().unwrap();
        assert_eq!((&*credentials.username, &*credentials.password), ("ga te", "p@ss:wörd"));
        assert_eq!(address.url().as_str(), "rtsp://host/a?b=c");
        assert_eq!(parse("rtsp://gate@host/").credentials().unwrap().password, "");
        assert!(parse("rtsp://host/").credentials().is_none());
        assert_eq!(parse("rtsp://a:b@host/"), parse("rtsp://a:b@host/"));
        assert!(
            parse("rtsp://a:b@host/") != parse("rtsp://a:c@host/")
                && parse("rtsp://a:b@host/") != parse("rtsp://host/")
        );
    }

    #[test]
    fn what_is_no_address_is_refused_without_a_word_of_what_is_in_it() {
        for (text, error) in [
            ("rtsp:hunter2", AddressError::NoHost),
            ("rtsp:///hunter2", AddressError::NoHost),
            ("rtsp://gate:hunter2@/a", AddressError::NotAUrl),
            ("rtsp://gate:hunter2@host:99999/", AddressError::NotAUrl),
            ("rtsps://gate:hunter2@host/", AddressError::Scheme),
            ("hunter2", AddressError::NotAUrl),
            ("rtsp://gate:hunter2%0d%0a@host/", AddressError::Login),
            ("rtsp://gate:hunter2%ff@host/", AddressError::Login),
        ] {
            let refused = text.parse::<RtspAddress>().unwrap_err();
            assert_eq!(refused, error, "{text}");
            assert!(!format!("{refused} {refused:?}").contains("hunter2"));
        }
    }
}
