//! The thread that talks to a camera.

use super::address::RtspAddress;
use super::error::{Login, RtspError, Step};
use doorframe_codec::ingest::MAX_UNIT;
use futures_util::StreamExt as _;
use retina::client::{Demuxed, PlayOptions, Session, SessionGroup, SessionOptions, SetupOptions, Stream, Transport};
use retina::codec::h26x::Framing;
use retina::codec::{CodecItem, FrameFormat, ParameterSetInsertion, VideoFrame};
use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::{timeout, timeout_at};

/// How long a camera may take for an answer, and between two pictures.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long the last word to a camera may take: cheap ones have room for few viewers, and keep it for one that went
/// without a word.
const LAST_WORD: Duration = Duration::from_millis(500);
/// NAL units behind their lengths, and parameter sets in front of keyframes also where they come beside the video alone.
const FORMAT: FrameFormat = FrameFormat {
    h26x_framing: Framing::FourByteLength,
    parameter_set_insertion: ParameterSetInsertion::EachKeyFrame,
    ..FrameFormat::MP4
};
/// Bytes of those lengths.
pub(super) const LENGTH_BYTES: u8 = 4;

/// What comes from a camera.
#[derive(Debug)]
pub(super) enum Arrived {
    /// The NAL units of a picture, each behind its length.
    Picture {
        data: Vec<u8>,
        /// RTP packets lost since the picture before.
        lost: u16,
        /// RTP time, in 1/90000 s since some moment.
        ticks: i64,
        /// When its first packet came.
        at: Instant,
    },
    /// A picture too large to be one.
    TooLarge,
}

/// Asks the camera for its video and sends what comes, and at last why nothing more does. Ends when `stop` is dropped, or
/// nobody listens any more.
///
/// A consumer that is late is waited for: the camera then finds its connection full. All bytes from the camera are a
/// stranger's. Where the library that reads them should panic over them, this thread ends, and its channel tells.
pub(super) fn run(address: &RtspAddress, send: &SyncSender<Result<Arrived, RtspError>>, stop: oneshot::Receiver<()>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _unheard = send.send(Err(RtspError::System(error.to_string())));
            return;
        }
    };
    runtime.block_on(async {
        let sessions = Arc::new(SessionGroup::default());
        let ended = tokio::select! {
            ended = watch(address, send, sessions.clone()) => ended,
            _ = stop => None,
        };
        if let Some(error) = ended {
            let _unheard = send.send(Err(error));
        }
        let _late = timeout(LAST_WORD, sessions.await_teardown()).await;
    });
    // A look-up of a name that hangs is not waited for.
    runtime.shutdown_background();
}

/// Sends pictures until there are no more, and says why; `None`: nobody listens.
async fn watch(
    address: &RtspAddress,
    send: &SyncSender<Result<Arrived, RtspError>>,
    sessions: Arc<SessionGroup>,
) -> Option<RtspError> {
    let mut pictures = match play(address, sessions).await {
        Ok(pictures) => pictures,
        Err(error) => return Some(error),
    };
    let mut deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let frame = match timeout_at(deadline, pictures.next()).await {
            Ok(Some(Ok(CodecItem::VideoFrame(frame)))) => frame,
            Ok(Some(Ok(_))) => continue,
            // What is broken in a stream that loses nothing does not mend: the library is not to be asked again.
            Ok(Some(Err(error))) if is_broken(&error) => return Some(RtspError::Ended),
            Ok(Some(Err(_))) => return Some(RtspError::Damaged),
            Ok(None) => return Some(RtspError::Ended),
            Err(_) => return Some(RtspError::Silent(PATIENCE)),
        };
        if send.send(Ok(picture(frame))).is_err() {
            return None;
        }
        // From here on: a consumer that was waited for is no silence of the camera's.
        deadline = tokio::time::Instant::now() + PATIENCE;
    }
}

fn picture(frame: VideoFrame) -> Arrived {
    if frame.data().len() > MAX_UNIT {
        return Arrived::TooLarge;
    }
    let (lost, ticks, at) = (frame.loss(), frame.timestamp().elapsed(), frame.start_ctx().received());
    Arrived::Picture { lost, ticks, at, data: frame.into_data() }
}

/// Goes as far as the first packet.
async fn play(address: &RtspAddress, sessions: Arc<SessionGroup>) -> Result<Demuxed, RtspError> {
    let credentials = address.credentials();
    let ask = Ask { login: if credentials.is_some() { Login::Given } else { Login::None } };
    let options = SessionOptions::default()
        .creds(credentials)
        .user_agent(concat!("doorframe/", env!("CARGO_PKG_VERSION")).to_owned())
        .session_group(sessions);
    let mut session = ask.wait(Step::Describe, Session::describe(address.url().clone(), options)).await?;
    let is_h264 = |stream: &Stream| stream.media() == "video" && stream.encoding_name() == "h264";
    let Some(index) = session.streams().iter().position(is_h264) else {
        return Err(RtspError::NotH264 { gives: offers(session.streams()) });
    };
    let setup = SetupOptions::default().transport(Transport::Tcp(Default::default())).frame_format(FORMAT);
    ask.wait(Step::Setup, session.setup(index, setup)).await?;
    let session = ask.wait(Step::Play, session.play(PlayOptions::default())).await?;
    session.demuxed().map_err(|_| RtspError::Garbled(Step::Describe))
}

/// Asks a camera.
struct Ask {
    login: Login,
}

impl Ask {
    /// Waits for an answer, for no longer than [`PATIENCE`].
    async fn wait<T>(
        &self,
        step: Step,
        answer: impl Future<Output = Result<T, retina::Error>>,
    ) -> Result<T, RtspError> {
        match timeout(PATIENCE, answer).await {
            Err(_) => Err(RtspError::NoAnswer { step, after: PATIENCE }),
            Ok(answer) => answer.map_err(|error| self.refusal(step, &error)),
        }
    }

    /// Why an answer is none. Nothing of what the library says is passed on but the system's own words: it cites what
    /// the camera sent.
    fn refusal(&self, step: Step, error: &retina::Error) -> RtspError {
        match error.status_code() {
            // A yes with something in it that is not understood.
            Some(200..=299) => return RtspError::Garbled(step),
            Some(status) => return RtspError::of_status(step, status, self.login),
            None => {}
        }
        match error.to_string().strip_prefix(NO_CONNECTION) {
            Some(why) => RtspError::Unreachable(why.to_owned()),
            None if is_broken(error) => RtspError::Ended,
            None => RtspError::Garbled(step),
        }
    }
}

// The library's errors are told apart by their words alone.
const NO_CONNECTION: &str = "Unable to connect to RTSP server: ";
const BROKEN: [&str; 3] = [
    "Error reading from RTSP peer: ",
    "Error writing to RTSP peer: ",
    "RTSP framing error: Incomplete RTSP message at EOF",
];

/// Whether the connection is gone.
fn is_broken(error: &retina::Error) -> bool {
    let said = error.to_string();
    BROKEN.iter().any(|words| said.starts_with(words))
}

/// What a camera has, for a person.
fn offers(streams: &[Stream]) -> String {
    let named = |stream: &Stream| {
        let known = |text: &str| {
            text.chars().filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c)).take(16).collect::<String>()
        };
        format!("{} {}", known(stream.media()), known(stream.encoding_name()))
    };
    let offers: Vec<_> = streams.iter().take(4).map(named).collect();
    if offers.is_empty() { "nothing".to_owned() } else { offers.join(", ") }
}
