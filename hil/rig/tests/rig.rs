//! The host's end against a controller made of software, in the bench's own time.

use doorframe_rig::controller::Controller;
use doorframe_rig::glass::{GlassError, MAX_OWN_DELAY, sweep};
use doorframe_rig::host::{Port, Rig, RigError};
use doorframe_rig::message::{Answer, Command, Fitted, Level, Micros, VERSION};
use doorframe_rig::simulated::{Sight, Simulated, World};
use std::io;
use std::time::Duration;

const FRAME_US: u64 = 33_333;
const FRAME: Duration = Duration::from_micros(FRAME_US);
const QUIET: Duration = Duration::from_secs(20);
const LONGEST: Duration = Duration::from_millis(400);

fn rig(sight: Sight) -> Rig<Simulated> {
    Rig::open(Simulated::new(World::new(sight)), QUIET).expect("a simulated rig answers")
}

#[test]
fn a_known_latency_is_found_and_spreads_over_one_frame() {
    for delay_us in [5_000, 90_000, 250_000] {
        let mut rig = rig(Sight::Screen { delay_us, frame_us: FRAME_US });
        let glass = rig.glass(sweep(150, FRAME, LONGEST).unwrap()).unwrap();
        assert_eq!((glass.latencies.len(), glass.missed, glass.stray), (150, 0, 0));
        let near = |percent: usize, wanted: u64| {
            let found = glass.quantile(percent).as_micros() as u64;
            assert!(found.abs_diff(wanted) < FRAME_US / 50, "p{percent} is {found} us, not {wanted} us");
        };
        near(0, delay_us);
        near(50, delay_us + FRAME_US / 2);
        near(95, delay_us + FRAME_US * 95 / 100);
        near(100, delay_us + FRAME_US);
    }
}

#[test]
fn a_rig_knows_its_own_delay() {
    let own = rig(Sight::Light).glass(sweep(100, FRAME, LONGEST).unwrap()).unwrap().quantile(95);
    assert!(own <= Duration::from_micros(50), "{own:?}");
    let slow = rig(Sight::Screen { delay_us: 3_000, frame_us: 1 }).glass(sweep(100, FRAME, LONGEST).unwrap()).unwrap();
    assert!(slow.quantile(95) > MAX_OWN_DELAY);
}

#[test]
fn a_photodiode_that_sees_nothing_says_so_before_the_series() {
    let mut world = World::new(Sight::Light);
    world.bright = world.dark + 200;
    let mut rig = Rig::open(Simulated::new(world), QUIET).unwrap();
    let error = rig.glass(sweep(100, FRAME, LONGEST).unwrap()).unwrap_err();
    assert!(matches!(error, RigError::Glass(GlassError::Contrast { percent: 4, .. })), "{error}");
}

#[test]
fn a_camera_slower_than_the_series_waits_is_not_measured_wrong() {
    let mut rig = rig(Sight::Screen { delay_us: 600_000, frame_us: FRAME_US });
    let error = rig.glass(sweep(100, FRAME, Duration::from_millis(350)).unwrap()).unwrap_err();
    assert!(matches!(error, RigError::Glass(GlassError::TooFew { .. } | GlassError::Contrast { .. })), "{error}");
}

#[test]
fn a_button_is_let_go_by_itself_and_pressed_once_however_often_it_is_asked() {
    let mut rig = rig(Sight::Light);
    rig.port_mut().advance(Micros(1_000_000));
    rig.tell(Command::Press { hold_ms: 250 }).unwrap();
    rig.port_mut().advance(Micros(2_000_000));
    assert_eq!(rig.port_mut().world().presses(), [(Micros(1_000_000), Level::On), (Micros(1_250_000), Level::Off)]);
    let mut lossy =
        Rig::open(Lossy { port: Simulated::new(World::new(Sight::Light)), every: 2, count: 0 }, QUIET).unwrap();
    lossy.tell(Command::Press { hold_ms: 10_000 }).unwrap();
    assert_eq!(lossy.port_mut().port.world().presses().len(), 1);
}

#[test]
fn a_host_that_crashed_leaves_the_board_off() {
    let mut rig = rig(Sight::Light);
    rig.tell(Command::Led(Level::On)).unwrap();
    rig.tell(Command::Press { hold_ms: 10_000 }).unwrap();
    let bench = rig.port_mut();
    bench.advance(Micros(19_000_000));
    assert_eq!(bench.world().power(), Level::On);
    bench.advance(Micros(21_000_000));
    assert_eq!(bench.world().power(), Level::Off);
    assert_eq!(rig.supply().unwrap().milliamperes, 0);
}

#[test]
fn a_host_that_said_goodbye_leaves_the_board_as_it_is() {
    let mut world = Simulated::new(World::new(Sight::Light));
    Rig::open(Borrowed(&mut world), QUIET).unwrap().close().unwrap();
    world.advance(Micros(60_000_000));
    assert_eq!(world.world().power(), Level::On);
}

/// A line that is there after its rig was closed.
struct Borrowed<'a>(&'a mut Simulated);

impl Port for Borrowed<'_> {
    fn now(&self) -> Duration {
        self.0.now()
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.send(bytes)
    }

    fn recv(&mut self, until: Duration, into: &mut [u8]) -> io::Result<usize> {
        self.0.recv(until, into)
    }

    fn wait(&mut self, until: Duration) {
        self.0.wait(until);
    }
}

#[test]
fn what_is_not_fitted_is_refused() {
    let mut world = World::new(Sight::Light);
    world.abilities.power = Fitted::No;
    let mut rig = Rig::open(Simulated::new(world), QUIET).unwrap();
    assert!(matches!(rig.tell(Command::Power(Level::Off)), Err(RigError::NotFitted(Command::Power(Level::Off)))));
    assert!(matches!(rig.tell(Command::Press { hold_ms: 0 }), Err(RigError::Range(_))));
}

/// Loses every so manieth answer.
struct Lossy {
    port: Simulated,
    every: u32,
    count: u32,
}

impl Port for Lossy {
    fn now(&self) -> Duration {
        self.port.now()
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.port.send(bytes)
    }

    fn recv(&mut self, until: Duration, into: &mut [u8]) -> io::Result<usize> {
        let count = self.port.recv(until, into)?;
        self.count += u32::from(count > 0);
        if count > 0 && self.count.is_multiple_of(self.every) {
            into[0] ^= 0x55;
        }
        Ok(count)
    }

    fn wait(&mut self, until: Duration) {
        self.port.wait(until);
    }
}

/// A device that says the same whatever it is asked.
struct Stubborn {
    says: Vec<u8>,
    now: Duration,
}

impl Port for Stubborn {
    fn now(&self) -> Duration {
        self.now
    }

    fn send(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn recv(&mut self, until: Duration, into: &mut [u8]) -> io::Result<usize> {
        self.now = if self.says.is_empty() { until } else { self.now + Duration::from_millis(50) };
        let count = self.says.len().min(into.len());
        into[..count].copy_from_slice(&self.says[..count]);
        Ok(count)
    }

    fn wait(&mut self, until: Duration) {
        self.now = until;
    }
}

fn refused(says: &[u8]) -> String {
    Rig::open(Stubborn { says: says.to_vec(), now: Duration::ZERO }, QUIET)
        .map(|_| ())
        .expect_err("it is no rig")
        .to_string()
}

#[test]
fn what_is_no_rig_is_told_in_words_and_in_time() {
    let silent = refused(&[]);
    assert!(silent.starts_with("the rig does not answer: asked 3 times in 1200 ms"), "{silent}");
    let modem = refused(b"\r\nERROR\r\n\0");
    assert!(modem.starts_with("the rig answers what is no message of ours (240 bytes in 1200 ms)"), "{modem}");
}

#[test]
fn another_version_is_told_in_words() {
    let mut plain = vec![VERSION + 1, 9];
    plain.extend(crc::Crc::<u16>::new(&crc::CRC_16_IBM_SDLC).checksum(&plain).to_be_bytes());
    let mut bytes = vec![0; 16];
    let len = cobs::encode(&plain, &mut bytes);
    bytes.truncate(len + 1);
    let words = refused(&bytes);
    assert!(
        words.starts_with("the rig speaks version 2 of its protocol and this program version 1: build and flash"),
        "{words}"
    );
}

#[test]
fn a_rig_answers_over_a_real_terminal_after_garbage() {
    use doorframe_rig::serial::Serial;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&end).unwrap();
    unlockpt(&end).unwrap();
    let path = ptsname(&end, Vec::new()).unwrap().into_string().unwrap();
    let port = Serial::open(path.as_ref()).unwrap();
    assert_eq!(Serial::open(path.as_ref()).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
    let controller = std::thread::spawn(move || {
        let mut controller = Controller::new(World::new(Sight::Light));
        // What a modem manager may have asked, and a message that was cut off.
        rustix::io::write(&end, b"AT+GCAP\r\n\x05\x01\x02").unwrap();
        let mut bytes = [0; 64];
        while let Ok(count) = rustix::io::read(&end, &mut bytes) {
            for byte in &bytes[..count] {
                if let Some(sent) = controller.handle_byte(*byte) {
                    // Cut in two, as a serial line may.
                    let (first, rest) = sent.as_bytes().split_at(2);
                    rustix::io::write(&end, first).unwrap();
                    rustix::io::write(&end, rest).unwrap();
                }
            }
        }
    });
    let mut rig = Rig::open(port, QUIET).unwrap();
    assert_eq!(rig.supply().unwrap().millivolts, 5_040);
    assert!(matches!(rig.ask(Command::Edges { from: 0 }), Ok(Answer::Edges { noted: 0, .. })));
    drop(rig);
    controller.join().unwrap();
}
