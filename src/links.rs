//! One link of several cameras (`docs/wire.md` §8), for a page that shows them all.

use crate::link::{LinkError, WatchLink};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use url::Url;

/// Most cameras that one page shows.
pub const MOST_CAMERAS: usize = 16;

/// 1 to [`MOST_CAMERAS`] cameras, all different. Secret: whoever has them can watch.
#[derive(Clone, PartialEq, Eq)]
pub struct WatchLinks(Vec<WatchLink>);

/// Why texts are no link of cameras. Says what is wrong with which, never what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LinksError {
    /// There is one, and it is none.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// There are several, and one of them is none.
    #[error("camera {number} of {of}: {error}")]
    OneOf {
        /// Which, from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// What is wrong with it.
        error: LinkError,
    },
    /// None, or too many.
    #[error("{0} cameras, one page shows 1 to 16: open the others in a second one, with another --page-port")]
    Count(usize),
    /// A camera that is there twice.
    #[error("camera {0} is there twice")]
    Twice(String),
}

impl WatchLinks {
    /// One link of all of them.
    ///
    /// # Errors
    /// If there are none or too many, or one twice.
    pub fn new(links: Vec<WatchLink>) -> Result<Self, LinksError> {
        if links.is_empty() || links.len() > MOST_CAMERAS {
            return Err(LinksError::Count(links.len()));
        }
        for (i, link) in links.iter().enumerate() {
            if links.iter().skip(i + 1).any(|other| other.hub == link.hub && other.camera == link.camera) {
                return Err(LinksError::Twice(link.camera.to_string()));
            }
        }
        Ok(Self(links))
    }

    /// One link of all that these texts name.
    ///
    /// # Errors
    /// As [`WatchLinks::new`], or if one of them does not parse.
    pub fn join<'a>(texts: impl ExactSizeIterator<Item = &'a str>) -> Result<Self, LinksError> {
        let of = texts.len();
        let mut links = Vec::new();
        for (i, text) in texts.enumerate() {
            let several = text.parse::<Self>().map_err(|error| match error {
                LinksError::Link(error) if of > 1 => LinksError::OneOf { number: i + 1, of, error },
                other => other,
            })?;
            links.extend(several.0);
        }
        Self::new(links)
    }

    /// The same, to be opened at `page`.
    #[must_use]
    pub fn at(mut self, page: &Url) -> Self {
        self.0.iter_mut().for_each(|link| link.page = Some(page.clone()));
        self
    }

    /// How many cameras there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl IntoIterator for WatchLinks {
    type Item = WatchLink;
    type IntoIter = std::vec::IntoIter<WatchLink>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromStr for WatchLinks {
    type Err = LinksError;

    fn from_str(text: &str) -> Result<Self, LinksError> {
        let (page, fragment) = text.trim().split_once('#').unwrap_or((text.trim(), ""));
        let of = fragment.split(';').count();
        if of > MOST_CAMERAS {
            return Err(LinksError::Count(of));
        }
        let mut links: Vec<WatchLink> = Vec::with_capacity(of);
        for (i, part) in fragment.split(';').enumerate() {
            // What is left out is as in the link before, so that what is inherited goes in front of it.
            let left_out = links.last().map(|before| inherited(before, part)).unwrap_or_default();
            let link = format!("{page}#{left_out}{part}").parse::<WatchLink>();
            links.push(link.map_err(|error| match of {
                1 => LinksError::Link(error),
                _ => LinksError::OneOf { number: i + 1, of, error },
            })?);
        }
        Self::new(links)
    }
}

/// Fields of `before` that `part` leaves out. With a hub of its own, hub, certificate and token are its own; with a device
/// key of its own, so are those before it.
fn inherited(before: &WatchLink, part: &str) -> String {
    let names: Vec<_> = url::form_urlencoded::parse(part.as_bytes()).map(|(name, _)| name).collect();
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let whole = before.fragment(None);
    let of_hub = |name: &str| matches!(name, "hub" | "cert" | "token");
    let of_device = |name: &str| matches!(name, "device" | "retired");
    let mut out = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(whole.as_bytes()) {
        let is_its_own = (of_hub(&name) && has("hub")) || (of_device(&name) && has("device"));
        let is_there = matches!(&*name, "camera" | "identity") || has(&name) || is_its_own;
        if !is_there {
            out.append_pair(&name, &value);
        }
    }
    out.finish() + "&"
}

impl fmt::Display for WatchLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = None;
        for link in &self.0 {
            match before {
                None => fmt::Display::fmt(link, f)?,
                Some(before) => write!(f, ";{}", link.fragment(Some(before)))?,
            }
            before = Some(link);
        }
        Ok(())
    }
}

impl fmt::Debug for WatchLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorframe_transport::identity::VerifyingKey;
    use doorframe_transport::moq::Trust;
    use zeroize::Zeroizing;

    fn link(camera: &str, hub: &str, device: u8) -> WatchLink {
        WatchLink {
            page: Url::parse("http://127.0.0.1:8490/").ok(),
            hub: Url::parse(hub).unwrap(),
            trust: Trust::Pinned([0xab; 32]),
            token: "a.b-c_d".into(),
            camera: camera.parse().unwrap(),
            identity: VerifyingKey([camera.len() as u8; 32]),
            device: Zeroizing::new([device; 32]),
            retired: Vec::new(),
        }
    }

    const HOME: &str = "https://127.0.0.1:4443/home";

    #[test]
    fn links_of_several_cameras_read_back_and_name_a_hub_once() {
        let roots = WatchLink { trust: Trust::Roots, ..link("barn", "https://barn.example/farm", 2) };
        let other_token = WatchLink { token: "x.y".into(), ..link("gate", HOME, 3) };
        let links =
            WatchLinks::new(vec![link("front-door", HOME, 2), link("back", HOME, 2), roots, other_token]).unwrap();
        let text = links.to_string();
        assert_eq!(text.parse(), Ok(links));
        assert_eq!(text.matches("127.0.0.1%3A4443").count(), 2, "{text}");
        let [_, back, barn, gate] = text.split(';').collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert!(back.starts_with("camera=back&identity=") && !back.contains("device"), "{back}");
        assert!(!barn.contains("cert=") && barn.contains("token="), "{barn}");
        assert!(gate.contains("cert=") && gate.contains("device="), "{gate}");
    }

    #[test]
    fn retired_keys_stand_once_and_are_not_those_of_another_device() {
        let retired = vec![Zeroizing::new([7; 32]), Zeroizing::new([8; 32])];
        let before = |link: WatchLink| WatchLink { retired: retired.clone(), ..link };
        let all =
            vec![before(link("a", HOME, 2)), before(link("bb", HOME, 2)), link("ccc", HOME, 2), link("dddd", HOME, 3)];
        let links = WatchLinks::new(all).unwrap();
        let text = links.to_string();
        assert_eq!(text.parse(), Ok(links));
        assert_eq!(text.matches("retired=").count(), 1, "{text}");
        assert_eq!(text.matches("device=").count(), 3, "{text}");
    }

    #[test]
    fn one_camera_is_the_link_that_it_always_was() {
        let one = link("front-door", HOME, 2);
        assert_eq!(WatchLinks::new(vec![one.clone()]).unwrap().to_string(), one.to_string());
        assert_eq!(one.to_string().parse(), WatchLinks::new(vec![one]));
    }

    #[test]
    fn what_is_wrong_is_said_of_one_camera() {
        let whole = link("front-door", HOME, 2).to_string();
        let error = format!("{whole};camera=back").parse::<WatchLinks>().unwrap_err();
        assert_eq!(error, LinksError::OneOf { number: 2, of: 2, error: LinkError::Missing("camera identity") });
        let other_hub = format!("{whole};hub=https%3A%2F%2Fother%2Fhome&camera=back&identity=x").parse::<WatchLinks>();
        assert!(matches!(other_hub, Err(LinksError::OneOf { number: 2, .. })), "{other_hub:?}");
        assert_eq!(
            "hello#".parse::<WatchLinks>().unwrap_err(),
            LinksError::Link(url::ParseError::RelativeUrlWithoutBase.into())
        );
        let joined = WatchLinks::join([whole.as_str(), "http://127.0.0.1/#v=1"].into_iter());
        assert_eq!(joined, Err(LinksError::OneOf { number: 2, of: 2, error: LinkError::Missing("hub") }));
        assert_eq!(
            format!("{whole};{}", whole.split_once('#').unwrap().1).parse::<WatchLinks>(),
            Err(LinksError::Twice("front-door".into()))
        );
    }

    #[test]
    fn a_page_shows_up_to_sixteen() {
        let many = |count: usize| (0..count).map(|n| link(&format!("camera-{n}"), HOME, 2)).collect::<Vec<_>>();
        let links = WatchLinks::new(many(MOST_CAMERAS)).unwrap();
        assert_eq!(links.to_string().parse(), Ok(links));
        assert_eq!(WatchLinks::new(many(17)), Err(LinksError::Count(17)));
        assert_eq!(format!("http://127.0.0.1/#{}", ";".repeat(16)).parse::<WatchLinks>(), Err(LinksError::Count(17)));
        assert_eq!(WatchLinks::new(Vec::new()), Err(LinksError::Count(0)));
    }
}
