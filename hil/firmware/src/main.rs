//! A test bench's controller on a Raspberry Pi Pico: its pins and its USB. What it does is `doorframe_rig::controller`.

#![no_std]
#![no_main]

mod pins;

use core::cell::RefCell;
use core::panic::PanicInfo;
use doorframe_rig::controller::Controller;
use embassy_executor::Spawner;
use embassy_futures::join::join3;
use embassy_futures::yield_now;
use embassy_rp::bind_interrupts;
use embassy_rp::peripherals::USB;
use embassy_rp::usb::{Driver, InterruptHandler};
use embassy_rp::watchdog::Watchdog;
use embassy_time::Duration;
use embassy_usb::class::cdc_acm::{CdcAcmClass, State};
use embassy_usb::{Builder, Config};
use pins::Pico;

bind_interrupts!(struct Interrupts {
    USBCTRL_IRQ => InterruptHandler<USB>;
});

/// Bytes of one USB packet at full speed.
const PACKET: usize = 64;

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    let chip = embassy_rp::init(Default::default());
    let mut watchdog = Watchdog::new(chip.WATCHDOG);
    watchdog.start(Duration::from_millis(500));
    let pico = Pico::new(chip.PIN_15, chip.PIN_14, chip.PIN_13, chip.ADC, chip.PIN_26, chip.PIN_27);
    let controller = RefCell::new(Controller::new(pico));

    // pid.codes' numbers for tests; a rig is known by its serial number.
    let mut config = Config::new(0x1209, 0x0001);
    config.manufacturer = Some("Doorframe");
    config.product = Some("Doorframe Rig");
    let mut serial = [0; 16];
    config.serial_number = Some(pins::serial(chip.FLASH, &mut serial));
    config.max_packet_size_0 = 64;
    let (mut descriptor, mut bos, mut control, mut state) = ([0; 256], [0; 256], [0; 64], State::new());
    let driver = Driver::new(chip.USB, Interrupts);
    let mut builder = Builder::new(driver, config, &mut descriptor, &mut bos, &mut [], &mut control);
    let mut line = CdcAcmClass::new(&mut builder, &mut state, PACKET as u16);
    let mut usb = builder.build();

    let talk = async {
        loop {
            line.wait_connection().await;
            // Until the host is gone.
            while serve(&mut line, &controller).await.is_some() {}
        }
    };
    let watch = async {
        loop {
            // Some 20 us a turn, and that is how exactly edges are timed.
            controller.borrow_mut().handle_time();
            watchdog.feed(Duration::from_millis(500));
            yield_now().await;
        }
    };
    join3(usb.run(), talk, watch).await;
}

/// Takes a packet, and answers what it asks. `None` when the host is gone.
async fn serve<'a>(
    line: &mut CdcAcmClass<'a, Driver<'a, USB>>,
    controller: &RefCell<Controller<Pico<'_>>>,
) -> Option<()> {
    let mut packet = [0; PACKET];
    let count = line.read_packet(&mut packet).await.ok()?;
    for byte in packet.get(..count)? {
        let sent = controller.borrow_mut().handle_byte(*byte);
        let Some(sent) = sent else { continue };
        for part in sent.as_bytes().chunks(PACKET) {
            line.write_packet(part).await.ok()?;
        }
        if sent.as_bytes().len().is_multiple_of(PACKET) {
            // Full packets alone do not tell the host that they are all.
            line.write_packet(&[]).await.ok()?;
        }
    }
    Some(())
}

/// All outputs go to rest with the chip's reset.
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}
