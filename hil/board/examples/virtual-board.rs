//! Serves a camera board and a rig controller by hand, until the USB host goes away.
//!
//! For QEMU, which listens on two sockets:
//! ```text
//! qemu-system-x86_64 … -device qemu-xhci \
//!     -chardev socket,id=c,path=camera.sock,server=on,wait=off -device usb-redir,chardev=c \
//!     -chardev socket,id=r,path=rig.sock,server=on,wait=off -device usb-redir,chardev=r
//! virtual-board --camera camera.sock --rig rig.sock
//! ```
//! For this machine itself, as root, after `modprobe vhci_hcd`: `virtual-board --vhci 0`, which takes ports 0 and 1.

use clap::Parser;
use doorframe_virtual_board::{
    Board, BoardConfig, Ended, FaultPlan, Light, Rig, SerialEnd, ServeError, Serving, Transfer, serve_usbredir,
    serve_vhci,
};
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Serves a camera board and a rig controller made of software.
#[derive(Parser)]
struct Arguments {
    /// Socket of QEMU's usb-redir for the camera
    #[arg(long, value_name = "SOCKET", required_unless_present = "vhci")]
    camera: Option<PathBuf>,
    /// Socket of QEMU's usb-redir for the rig controller
    #[arg(long, value_name = "SOCKET")]
    rig: Option<PathBuf>,
    /// Port of this machine's vhci_hcd for the camera; the rig controller takes the next
    #[arg(long, conflicts_with_all = ["camera", "rig"])]
    vhci: Option<u8>,
    /// Isochronous in place of bulk
    #[arg(long)]
    isochronous: bool,
    /// File of a fault plan, as TOML or JSON
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// From the lamp to the frame, in milliseconds
    #[arg(long, default_value_t = 0)]
    latency: u64,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("virtual-board: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut config = BoardConfig::new(if arguments.isochronous { Transfer::Isochronous } else { Transfer::Bulk });
    config.latency = Duration::from_millis(arguments.latency);
    if let Some(file) = &arguments.faults {
        config.faults = std::fs::read_to_string(file)?.parse::<FaultPlan>()?;
    }
    println!("fault plan: {}", config.faults);
    let board = Board::new(config)?;
    let (rig, end) = Rig::new("RIG-0001")?;
    let commanded = board.clone();
    std::thread::spawn(move || command(&commanded, end));
    let (camera, controller) = serve(arguments, &board, &rig)?;
    let ended = camera.wait();
    drop(controller);
    println!("{}", serde_json::to_string_pretty(&board.delivered())?);
    match ended? {
        Ended::Peer => println!("the USB host went away"),
        Ended::Unplugged => println!("unplugged"),
        _ => {}
    }
    Ok(())
}

fn serve(arguments: &Arguments, board: &Board, rig: &Rig) -> Result<(Serving, Option<Serving>), Box<dyn Error>> {
    if let Some(port) = arguments.vhci {
        return Ok((serve_vhci(board, port)?, Some(serve_vhci(rig, port.saturating_add(1))?)));
    }
    let redirected = |path: &Path| -> Result<UnixStream, ServeError> { Ok(connect(path)?) };
    let controller = match &arguments.rig {
        Some(path) => Some(serve_usbredir(rig, redirected(path)?)?),
        None => None,
    };
    let camera = arguments.camera.as_deref().unwrap_or(Path::new(""));
    Ok((serve_usbredir(board, redirected(camera)?)?, controller))
}

/// Connects as soon as somebody listens, for ten seconds.
fn connect(path: &Path) -> std::io::Result<UnixStream> {
    let began = Instant::now();
    loop {
        match UnixStream::connect(path) {
            Err(_) if began.elapsed() < Duration::from_secs(10) => std::thread::sleep(Duration::from_millis(20)),
            connected => return connected,
        }
    }
}

/// Does what lines from the serial port say: `light on`, `light off`, `press`, `replug`, `delivered`.
fn command(board: &Board, end: SerialEnd) {
    let mut writer = end.writer();
    for line in BufReader::new(end).lines() {
        let Ok(line) = line else { return };
        let answer = match line.trim() {
            "light on" => {
                board.light(Light::On);
                "ok".to_owned()
            }
            "light off" => {
                board.light(Light::Off);
                "ok".to_owned()
            }
            "press" => {
                board.press();
                "ok".to_owned()
            }
            "replug" => {
                board.unplug();
                std::thread::sleep(Duration::from_millis(500));
                board.plug();
                "ok".to_owned()
            }
            "delivered" => serde_json::to_string(&board.delivered()).unwrap_or_default(),
            other => format!("'{other}' is not light on, light off, press, replug or delivered"),
        };
        if writeln!(writer, "{answer}").is_err() {
            return;
        }
    }
}
