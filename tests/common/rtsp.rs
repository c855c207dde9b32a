//! An RTSP server of GStreamer, and a relay before it that loses packets.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// Debian's, which has its packages' modules.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/rtsp_server.py");
/// What the script needs.
const PARTS: &str = "
import gi
for part in ('Gst', 'GstRtsp', 'GstRtspServer'): gi.require_version(part, '1.0')
from gi.repository import Gst, GstRtspServer
Gst.init(None)
assert all(Gst.ElementFactory.find(name) for name in ('qtdemux', 'h264parse', 'rtph264pay', 'jpegenc', 'videotestsrc'))";

/// The clip ten times over, as a file that the server can read; or a clear word that there is no server.
pub(crate) fn clip() -> Option<&'static Path> {
    static CLIP: OnceLock<Option<PathBuf>> = OnceLock::new();
    CLIP.get_or_init(|| {
        let quiet = |program: &str, arguments: &[&str]| {
            let run = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
            run.is_ok_and(|status| status.success())
        };
        if !quiet(PYTHON, &["-c", PARTS]) || !quiet("ffmpeg", &["-version"]) {
            assert!(std::env::var_os("CI").is_none(), "CI has to install an RTSP server");
            println!(
                "SKIPPED: no RTSP server on this machine; install the packages ffmpeg python3-gi gir1.2-gst-rtsp-server-1.0 \
                 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad to run this test"
            );
            return None;
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rtsp");
        std::fs::create_dir_all(&folder).unwrap();
        let (raw, clip) = (folder.join("door.264"), folder.join("door.mp4"));
        std::fs::write(&raw, doorframe::sensor::BUILT_IN.repeat(10)).unwrap();
        let (from, to) = (raw.to_str().unwrap(), clip.to_str().unwrap());
        let arguments = ["-y", "-fflags", "+genpts", "-r", "30000/1001", "-i", from, "-c", "copy", to];
        assert!(quiet("ffmpeg", &arguments), "ffmpeg does not put the clip into an MP4 file");
        Some(clip)
    })
    .as_deref()
}

/// A running server. Killed when dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
}

impl Server {
    /// On any port, for whoever comes.
    pub(crate) fn start(clip: &Path) -> Self {
        Self::with(clip, 0, &[])
    }

    /// On `port`, for who knows user name and password, if there are any.
    pub(crate) fn with(clip: &Path, port: u16, login: &[&str]) -> Self {
        let mut process = Command::new(PYTHON)
            .arg(SCRIPT)
            .arg(port.to_string())
            .arg(clip)
            .args(login)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("a port");
        Self { process, port }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("rtsp://127.0.0.1:{}{path}", self.port)
    }

    /// Sends a signal to it: STOP makes a server that is there and says nothing.
    pub(crate) fn signal(&self, name: &str) {
        let number = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &number]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = (self.process.kill(), self.process.wait());
    }
}

/// Listens, and gives each connection to `serve`. For as long as the test runs.
pub(crate) fn listen(serve: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(serve));
    port
}

/// A relay to the server at `port` that loses the interleaved packets with these numbers. Gives its own port.
pub(crate) fn lossy(port: u16, lost: &'static [u32]) -> u16 {
    listen(move |client| {
        let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
        std::thread::spawn(move || relay(BufReader::new(server), client, lost));
    })
}

/// Passes on answers, and those packets that are not lost. Ends with either connection.
fn relay(mut server: BufReader<TcpStream>, mut client: TcpStream, lost: &[u32]) -> std::io::Result<()> {
    let mut number = 0;
    loop {
        let mut message = vec![0; 4];
        server.read_exact(&mut message)?;
        let mut rest = 0;
        let is_packet = message[0] == b'$';
        if is_packet {
            rest = usize::from(u16::from_be_bytes([message[2], message[3]]));
        } else {
            while !message.ends_with(b"\r\n\r\n") {
                let start = message.len();
                server.read_until(b'\n', &mut message)?;
                let line = String::from_utf8_lossy(&message[start..]).to_ascii_lowercase();
                rest = line.strip_prefix("content-length:").map_or(rest, |length| length.trim().parse().unwrap());
            }
        }
        let start = message.len();
        message.resize(start + rest, 0);
        server.read_exact(&mut message[start..])?;
        number += u32::from(is_packet);
        if !(is_packet && lost.contains(&number)) {
            client.write_all(&message)?;
        }
    }
}
