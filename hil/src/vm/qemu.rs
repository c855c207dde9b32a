//! A machine under emulation: QEMU, with a USB controller, and a port for results.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The program, of Debian's package `qemu-system-x86`.
pub(crate) const QEMU: &str = "qemu-system-x86_64";
/// How long it may take until it listens.
const START: Duration = Duration::from_secs(20);

/// A running machine. Killed when dropped, and by the kernel if this program ends in any other way.
#[derive(Debug)]
pub(crate) struct Machine {
    process: Child,
    folder: TempDir,
    /// Where results come, and answers go.
    pub(crate) port: UnixStream,
    _initramfs: File,
}

/// A USB socket of the machine, into which something is plugged by connecting to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Socket {
    /// For the camera.
    Camera,
    /// For the rig's controller.
    Rig,
}

impl Socket {
    const ALL: [Self; 2] = [Self::Camera, Self::Rig];

    fn name(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Rig => "rig",
        }
    }
}

impl Machine {
    /// Starts one with this kernel and these files, that sees nothing of this machine's files and no network.
    ///
    /// # Errors
    /// If QEMU does not start, with its words.
    pub(crate) fn start(kernel: &Path, initramfs: &[u8]) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("doorframe-hil-").tempdir()?;
        let listener = UnixListener::bind(folder.path().join("results"))?;
        listener.set_nonblocking(true)?;
        // Memory that the other process reads by its name in /proc, so that nothing is left on a disk.
        let mut file: File = rustix::fs::memfd_create("initramfs", rustix::fs::MemfdFlags::CLOEXEC)?.into();
        file.write_all(initramfs)?;
        let initrd = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        let said = File::create(folder.path().join("qemu.log"))?;
        let mut process = Command::new("setpriv")
            // This program may be killed in a way that drops nothing.
            .args(["--pdeathsig", "KILL", QEMU])
            .args(arguments(folder.path(), kernel, &initrd))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()?;
        match accept(&listener, &mut process) {
            Ok(port) => Ok(Self { process, folder, port, _initramfs: file }),
            Err(error) => {
                let _gone = process.kill();
                let _gone = process.wait();
                let said = std::fs::read_to_string(folder.path().join("qemu.log")).unwrap_or_default();
                Err(io::Error::new(error.kind(), format!("{error}; it said: {}", said.trim())))
            }
        }
    }

    /// Plugs in what speaks usbredir at the other end.
    ///
    /// # Errors
    /// If the machine has ended, or does not listen.
    pub(crate) fn plug(&self, socket: Socket) -> io::Result<UnixStream> {
        let path = self.folder.path().join(socket.name());
        let deadline = Instant::now() + START;
        loop {
            match UnixStream::connect(&path) {
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
                Ok(stream) => return Ok(stream),
            }
        }
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// What the kernel said on its console.
    pub(crate) fn console(&self) -> PathBuf {
        self.folder.path().join("console.log")
    }

    /// What went over the USB, for a reader of `pcap` files.
    pub(crate) fn captures(&self) -> Vec<PathBuf> {
        Socket::ALL.iter().map(|socket| capture(self.folder.path(), *socket)).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

fn capture(folder: &Path, socket: Socket) -> PathBuf {
    folder.join(format!("{}.pcap", socket.name()))
}

fn accept(listener: &UnixListener, process: &mut Child) -> io::Result<UnixStream> {
    let deadline = Instant::now() + START;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) => {}
        }
        if let Some(status) = process.try_wait()? {
            return Err(io::Error::other(format!("{QEMU} ended at its start, {status}")));
        }
        if Instant::now() >= deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{QEMU} did not start within {START:?}")));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn arguments(folder: &Path, kernel: &Path, initrd: &str) -> Vec<OsString> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut arguments: Vec<OsString> = Vec::new();
    let mut add = |pair: [&str; 2]| arguments.extend(pair.map(OsString::from));
    // One processor is faster than two on a machine that is shared, and a stock kernel does not run by KVM everywhere.
    for pair in [["-machine", "pc"], ["-accel", "tcg"], ["-smp", "1"], ["-m", "768"], ["-display", "none"]] {
        add(pair);
    }
    add(["-initrd", initrd]);
    add(["-append", "console=ttyS0 quiet panic=-1 rdinit=/init -- guest"]);
    add(["-serial", &format!("file:{}", path("console.log"))]);
    add(["-device", "virtio-serial-pci"]);
    add(["-chardev", &format!("socket,id=results,path={}", path("results"))]);
    add(["-device", "virtserialport,chardev=results,name=results"]);
    add(["-device", "qemu-xhci,id=usb"]);
    for socket in Socket::ALL {
        let name = socket.name();
        add(["-chardev", &format!("socket,id={name},path={},server=on,wait=off", path(name))]);
        let capture = capture(folder, socket).display().to_string();
        add(["-device", &format!("usb-redir,chardev={name},id=usb-{name},pcap={capture}")]);
    }
    arguments.extend(["-nodefaults", "-no-user-config", "-no-reboot"].map(OsString::from));
    arguments.extend(["-kernel".into(), kernel.into()]);
    arguments
}
