//! What the words on paper need beside them: where the home's cameras are, and the device lists that a camera hands over.

use crate::link::{LinkError, WatchLink, camera, fields, hex};
use crate::links::{LinksError, WatchLinks};
use crate::vault::{Home, PairedCamera};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorframe_transport::devices::{Ghost, ListRefused, RecoveryKey, Way};
use doorframe_transport::identity::BadKey;
use doorframe_transport::keys::SessionId;
use doorframe_transport::manifest::SessionManifest;
use doorframe_transport::moq::{CarriageError, Node, Trust, client_endpoint, dial};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;
use url::Url;

/// Where one of a home's cameras is, to be kept with a recovery key (`docs/format.md` §3). Nobody opens a picture with it; whoever has it
/// gets from the hub what is sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct HomeLink(pub PairedCamera);

impl fmt::Display for HomeLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PairedCamera { alias, identity, hub, trust, token } = &self.0;
        let mut fields = url::form_urlencoded::Serializer::new(String::new());
        fields.append_pair("v", "1").append_pair("hub", hub.as_str());
        if let Trust::Pinned(hash) = trust {
            fields.append_pair("cert", &hex(hash));
        }
        fields.append_pair("token", token).append_pair("camera", &alias.to_string());
        fields.append_pair("identity", &URL_SAFE_NO_PAD.encode(identity.0));
        write!(f, "doorframe://home#{}", fields.finish())
    }
}

impl fmt::Debug for HomeLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HomeLink({}, ..)", self.0.alias)
    }
}

impl FromStr for HomeLink {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let url = Url::parse(text.trim())?;
        if url.scheme() != "doorframe" || url.host_str() != Some("home") {
            return Err(LinkError::Bad("beginning (doorframe://home#)"));
        }
        Ok(Self(camera(&fields(&url)?)?))
    }
}

impl From<WatchLink> for HomeLink {
    fn from(link: WatchLink) -> Self {
        let WatchLink { hub, trust, token, camera, identity, .. } = link;
        Self(PairedCamera { alias: camera, identity, hub, trust, token })
    }
}

/// The cameras that a text names: a [`HomeLink`], or a link to watch, of one camera or several.
///
/// # Errors
/// What is wrong with it.
pub fn cameras_of(text: &str) -> Result<Vec<PairedCamera>, LinksError> {
    if text.trim().starts_with("doorframe://home") {
        return Ok(vec![text.parse::<HomeLink>()?.0]);
    }
    let links = text.parse::<WatchLinks>()?;
    Ok(links.into_iter().map(|link| HomeLink::from(link).0).collect())
}

/// Why a camera's device lists were not had. Said to a person.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No socket.
    #[error("cannot start: {0}")]
    Socket(#[from] std::io::Error),
    /// The hub is not there, or says no.
    #[error("the hub of camera {0} cannot be used: {1}")]
    Hub(String, String),
    /// The camera is not there.
    #[error("camera {0} is not at its hub: is it switched on? It hands over who may watch, so it has to be there")]
    NotThere(String),
    /// No session of it opens with the words.
    #[error(
        "camera {0} seals nothing to these words: their time is over, they were taken off the list, or they are of another home"
    )]
    NotForUs(String),
    /// The camera was not paired by a home.
    #[error("camera {0} hands over no device list: it belongs to no home")]
    NoLists(String),
    /// The lists do not hold.
    #[error("the device lists of camera {0} do not hold: {1}")]
    Lists(String, ListRefused),
    /// The camera states another list than it hands over.
    #[error("ALARM: camera {0}: {1}")]
    Ghost(String, Ghost),
    /// A key that the library refuses.
    #[error(transparent)]
    Key(#[from] BadKey),
}

/// How long a camera is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long others are waited for once one session was opened: the camera's is the one that started last.
const OTHERS: Duration = Duration::from_millis(700);
/// Sessions looked at, at most: anybody who may publish can announce some under the camera's name.
const MOST_SESSIONS: usize = 16;
/// Letters read of one session, at most.
const MOST_LETTERS: usize = 1024;
const PRIORITY: u8 = 200;

/// The home's device lists as the camera hands them over, opened with the recovery key: of its newest session, which has to state the
/// newest of them. Call it inside a tokio runtime.
///
/// # Errors
/// Why not.
pub async fn lists_of(camera: &PairedCamera, key: &RecoveryKey) -> Result<Home, FetchError> {
    let alias = camera.alias.to_string();
    let device = key.device_key()?;
    let endpoint = client_endpoint()?;
    let node = Node::new();
    let mut sessions = node.announcements(&alias);
    let to = camera.watch_link(device.seed()).dial();
    let refused = |words: String| FetchError::Hub(alias.clone(), words);
    let connection = dial(&endpoint, &node, &to).await.map_err(|error| refused(error.to_string()))?;
    let (mut newest, mut seen): (Option<(u64, Home)>, usize) = (None, 0);
    let mut failure = FetchError::NotThere(alias.clone());
    let end = tokio::time::sleep(PATIENCE);
    tokio::pin!(end);
    loop {
        let announced = tokio::select! {
            announced = sessions.next() => announced,
            ended = connection.closed() => return Err(refused(ended.to_string())),
            () = &mut end => break,
        };
        let Some(announced) = announced else { break };
        let Some(id) = SessionId::from_hex(&announced.name).filter(|_| announced.is_live) else { continue };
        seen += 1;
        if seen > MOST_SESSIONS {
            break;
        }
        let read = tokio::time::timeout(PATIENCE, session(&node, camera, key, id)).await;
        match read.unwrap_or_else(|_| Err(FetchError::NotThere(alias.clone()))) {
            Ok(found) => {
                if newest.as_ref().is_none_or(|(started, _)| found.0 > *started) {
                    newest = Some(found);
                }
                end.as_mut().reset(tokio::time::Instant::now() + OTHERS);
            }
            Err(error) => {
                // Others under its name may come, and the camera's own session is soon to be seen.
                if newest.is_none() {
                    end.as_mut().reset(tokio::time::Instant::now() + 4 * OTHERS);
                }
                failure = error;
            }
        }
    }
    newest.map(|(_, home)| home).ok_or(failure)
}

/// When a session started, and the lists that it hands over.
async fn session(
    node: &Node,
    camera: &PairedCamera,
    key: &RecoveryKey,
    id: SessionId,
) -> Result<(u64, Home), FetchError> {
    let alias = camera.alias.to_string();
    let path = format!("{alias}/{id}");
    let gone = |_: CarriageError| FetchError::NotThere(alias.clone());
    let mut track = node.subscribe(&path, "session", PRIORITY).await.map_err(gone)?;
    let record = match track.group().await {
        Some(mut group) => group.object().await,
        None => None,
    };
    let record = record.ok_or_else(|| FetchError::NotThere(alias.clone()))?;
    let mut machine = doorframe_transport::Viewer::new(key.device_key()?, camera.identity, [0; 16]);
    let not_ours = || FetchError::NotForUs(alias.clone());
    let started = machine.handle_session(&record).map_err(|_| not_ours()).and_then(|facts| {
        // Another's manifest under this name is none of this session.
        if facts.id == id { Ok(facts.started_wall_us) } else { Err(not_ours()) }
    })?;
    let letters = machine.letters().ok_or_else(not_ours)?;
    let mut track = node.subscribe(&path, "devices", PRIORITY).await.map_err(gone)?;
    let mut records = Vec::new();
    if let Some(mut group) = track.group().await {
        while let Some(letter) = group.object().await.filter(|_| records.len() < MOST_LETTERS) {
            records.extend(letters.open(Way::ToDevices, &letter));
        }
    }
    if records.is_empty() {
        return Err(FetchError::NoLists(alias));
    }
    let home = Home::of(&records).map_err(|refused| FetchError::Lists(alias.clone(), refused))?;
    // The camera has signed which list is in force: with it stands and falls what came in letters.
    let manifest = SessionManifest::parse(&record).map_err(|_| not_ours())?;
    home.lists().check_session(&manifest).map_err(|ghost| FetchError::Ghost(alias.clone(), ghost))?;
    let stated = manifest.facts().devices.version;
    if stated != home.lists().newest().version() {
        return Err(FetchError::NoLists(alias));
    }
    Ok((started, home))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Alias;
    use doorframe_transport::identity::VerifyingKey;

    fn camera() -> PairedCamera {
        PairedCamera {
            alias: Alias::front_door(),
            identity: VerifyingKey([3; 32]),
            hub: Url::parse("https://hub.example:4443/home").unwrap(),
            trust: Trust::Pinned([0xab; 32]),
            token: "a.b-c_d".into(),
        }
    }

    #[test]
    fn what_is_kept_with_the_words_reads_back_and_opens_nothing() {
        let text = HomeLink(camera()).to_string();
        assert!(text.starts_with("doorframe://home#v=1&") && !text.contains("device="), "{text}");
        assert_eq!(cameras_of(&format!(" {text}\n")), Ok(vec![camera()]));
        let roots = PairedCamera { trust: Trust::Roots, ..camera() };
        assert_eq!(HomeLink(roots.clone()).to_string().parse(), Ok(HomeLink(roots)));
        let cut = &text[..text.len() - 3];
        assert_eq!(cameras_of(cut), Err(LinkError::Bad("camera identity").into()));
        assert!(text.parse::<WatchLink>().is_err(), "it is no link to watch by");
    }

    #[test]
    fn a_link_to_watch_by_says_where_the_cameras_are_too() {
        let one = camera().watch_link(&[7; 32]).to_string();
        assert_eq!(cameras_of(&one), Ok(vec![camera()]));
        let other = PairedCamera { alias: "gate".parse().unwrap(), ..camera() };
        let both = WatchLinks::new(vec![camera().watch_link(&[7; 32]), other.watch_link(&[7; 32])]).unwrap();
        assert_eq!(cameras_of(&both.to_string()), Ok(vec![camera(), other]));
    }
}
