//! What can go wrong with a camera on a network.

use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// Why there is no picture, as what the camera does. Never has a word of what the camera sent in it, nor of a password.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RtspError {
    /// No connection.
    #[error("cannot be reached ({0}): is it on, and on this network?")]
    Unreachable(String),
    /// A connection, and then nothing.
    #[error("did not answer within {} s ({step}): is it on, and is this its RTSP port?", after.as_secs())]
    NoAnswer {
        /// What it was asked.
        step: Step,
        /// How long it was waited for.
        after: Duration,
    },
    /// Something that is no answer.
    #[error("answers what is no RTSP ({0}): is this its RTSP port? The usual one is 554")]
    Garbled(Step),
    /// It wants to know who watches.
    #[error("asks for a user name and a password: write rtsp://USER:PASSWORD@HOST/PATH")]
    LoginWanted,
    /// A wrong user name or password, or one that may not do this.
    #[error("refuses this user name or password: check both, and percent-encode what is special in them (@ as %40)")]
    LoginRefused,
    /// A wrong path.
    #[error("has no video at this path (404): look up the right one in its manual")]
    NotFound,
    /// Other video, or none.
    #[error("gives {gives}, and no H.264: set its video coding to H.264")]
    NotH264 {
        /// What it gives instead.
        gives: String,
    },
    /// Video that comes by UDP alone.
    #[error("does not send its video over TCP, which is needed here: look in its settings for RTP over RTSP or TCP")]
    NotOverTcp,
    /// Another answer than yes.
    #[error("answers with status {status} ({step})")]
    Status {
        /// What it was asked.
        step: Step,
        /// The code, as HTTP's (RFC 2326 §7.1.1).
        status: u16,
    },
    /// No picture any more.
    #[error("sent no picture for {} s", .0.as_secs())]
    Silent(Duration),
    /// Something that is no RTP with H.264 in it.
    #[error("sent what is no video")]
    Damaged,
    /// The connection is gone.
    #[error("ended the connection")]
    Ended,
    /// The system does not let us.
    #[error("cannot be asked: {0}")]
    System(String),
    /// Our bug, or one of the library that reads RTSP.
    #[error("cannot be read: the thread for it failed, please report what it printed")]
    Panicked,
}

/// What a camera is asked, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// What it has.
    Describe,
    /// How it shall send.
    Setup,
    /// To begin.
    Play,
}

/// Whether a camera was told a user name and a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Login {
    None,
    Given,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Describe => "DESCRIBE",
            Self::Setup => "SETUP",
            Self::Play => "PLAY",
        })
    }
}

impl RtspError {
    /// Whether to give up: what a person has to put right, at the camera or in the address. Asking again with a wrong
    /// password makes some cameras lock their owner out.
    pub fn is_final(&self) -> bool {
        match self {
            Self::LoginWanted | Self::LoginRefused | Self::NotFound | Self::NotH264 { .. } | Self::NotOverTcp => true,
            // Codes of 500 and more are the camera's own trouble, and of these two it says that they pass.
            Self::Status { status, .. } => (300..500).contains(status) && ![TIMEOUT, NO_BANDWIDTH].contains(status),
            Self::Unreachable(_)
            | Self::NoAnswer { .. }
            | Self::Garbled(_)
            | Self::Silent(_)
            | Self::Damaged
            | Self::Ended
            | Self::System(_)
            | Self::Panicked => false,
        }
    }

    /// Of an answer's status code, which is not that of a yes.
    pub(super) fn of_status(step: Step, status: u16, login: Login) -> Self {
        match status {
            UNAUTHORIZED if login == Login::None => Self::LoginWanted,
            UNAUTHORIZED | FORBIDDEN => Self::LoginRefused,
            NOT_FOUND => Self::NotFound,
            NO_TRANSPORT => Self::NotOverTcp,
            _ => Self::Status { step, status },
        }
    }
}

// RFC 2326 §11.
const UNAUTHORIZED: u16 = 401;
const FORBIDDEN: u16 = 403;
const NOT_FOUND: u16 = 404;
const TIMEOUT: u16 = 408;
const NO_BANDWIDTH: u16 = 453;
const NO_TRANSPORT: u16 = 461;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_in_words_and_says_whether_to_try_again() {
        assert_eq!(RtspError::of_status(Step::Describe, 401, Login::None), RtspError::LoginWanted);
        let of = |status| RtspError::of_status(Step::Describe, status, Login::Given);
        assert_eq!(of(401), RtspError::LoginRefused);
        assert_eq!(of(404), RtspError::NotFound);
        assert_eq!(of(461), RtspError::NotOverTcp);
        assert_eq!(of(551).to_string(), "answers with status 551 (DESCRIBE)");
        for (status, is_final) in
            [(302, true), (400, true), (403, true), (405, true), (408, false), (453, false), (500, false), (503, false)]
        {
            assert_eq!(of(status).is_final(), is_final, "{status}");
        }
    }
}
