//! The first process of the virtual machine: makes it usable, does its task, and turns it off.

mod hands;

use crate::checks::{self, Settings};
use crate::wire::{Lines, Task, Word, say};
use hands::Port;
use rustix::mount::{MountFlags, mount};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SendFlags, SocketType};
use rustix::system::{RebootCommand, reboot};
use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long a port of the machine may take to appear.
const PORT: Duration = Duration::from_secs(20);

/// Runs the task that comes through the machine's port. Does not return inside a machine.
pub(crate) fn main() -> ExitCode {
    if std::process::id() != 1 {
        eprintln!("doorframe-hil: `guest` is the first process of a virtual machine: use `doorframe-hil vm`");
        return ExitCode::FAILURE;
    }
    let done = prepare().and_then(|()| Ok(open_port()?)).and_then(|port| serve(&port));
    if let Err(error) = done {
        // To the console, which is kept when something fails.
        eprintln!("doorframe-hil: {error}");
    }
    rustix::fs::sync();
    let Err(error) = reboot(RebootCommand::PowerOff) else { return ExitCode::SUCCESS };
    eprintln!("doorframe-hil: cannot turn the machine off: {error}");
    ExitCode::FAILURE
}

fn prepare() -> Result<(), Box<dyn Error>> {
    for (kind, at) in [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys"), ("tmpfs", "/tmp")] {
        mount(kind, at, kind, MountFlags::empty(), None).map_err(|error| format!("cannot mount {at}: {error}"))?;
    }
    // All that the kernel says from now on goes to its console; its start alone would take a second.
    fs::write("/proc/sys/kernel/printk", "8").map_err(|error| format!("cannot ask the kernel for its log: {error}"))?;
    let mut modules: Vec<_> = fs::read_dir("/modules")?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    modules.sort();
    for module in modules {
        rustix::system::finit_module(File::open(&module)?, c"", 0)
            .map_err(|error| format!("cannot load {}: {error}", module.display()))?;
    }
    loopback_up().map_err(|error| format!("cannot bring the loopback interface up: {error}").into())
}

/// Asks the kernel to bring up its first interface (rtnetlink(7)).
fn loopback_up() -> io::Result<()> {
    const NEW_LINK: u16 = 16;
    const REQUEST: u16 = 1;
    const UP: u32 = 1;
    let socket = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    let mut message = Vec::with_capacity(32);
    // struct nlmsghdr, then struct ifinfomsg.
    message.extend_from_slice(&32_u32.to_ne_bytes());
    message.extend_from_slice(&NEW_LINK.to_ne_bytes());
    message.extend_from_slice(&REQUEST.to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&1_u32.to_ne_bytes());
    message.extend_from_slice(&UP.to_ne_bytes());
    message.extend_from_slice(&UP.to_ne_bytes());
    rustix::net::sendto(&socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    Ok(())
}

fn open_port() -> io::Result<File> {
    let deadline = Instant::now() + PORT;
    loop {
        if let Some(path) = port() {
            return File::options().read(true).write(true).open(path);
        }
        if Instant::now() >= deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the machine has no port for results"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// `/dev/vport0p1`, or whatever its number is.
fn port() -> Option<PathBuf> {
    let ports = fs::read_dir("/sys/class/virtio-ports").ok()?;
    ports.flatten().map(|port| Path::new("/dev").join(port.file_name())).find(|path| path.exists())
}

fn serve(port: &File) -> Result<(), Box<dyn Error>> {
    let (mut out, mut lines) = (port, Lines::new(port));
    let uptime_ms = uptime_ms().unwrap_or_default();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    say(&mut out, &Word::Ready { uptime_ms, release })?;
    let Some(task) = lines.next::<Task>()? else { return Err("the port was closed before there was a task".into()) };
    let checks = checks::named(&task.checks)?;
    let mut hands = Port::new(out, lines);
    checks::run(&checks, None, &Settings::from(&task), &mut hands)?;
    hands.say(&Word::End)?;
    Ok(())
}

/// Since the kernel's start.
fn uptime_ms() -> Option<u64> {
    let text = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some((seconds * 1000.0) as u64)
}
