//! What the Pico's pins are tied to; `hil/README.md` has the drawing.

use doorframe_rig::controller::Pins;
use doorframe_rig::message::{Abilities, Fitted, Level, Micros, Supply};
use embassy_rp::Peri;
use embassy_rp::adc::{Adc, Blocking, Channel, Config};
use embassy_rp::flash::{self, Flash};
use embassy_rp::gpio::{self, Output, Pull};
use embassy_rp::peripherals::{ADC, FLASH, PIN_13, PIN_14, PIN_15, PIN_26, PIN_27};
use embassy_time::Instant;

/// The supply comes through a divider of two equal resistors, and 4095 is 3.3 V.
const MILLIVOLTS: u32 = 6600;
const FLASH_SIZE: usize = 2 * 1024 * 1024;

/// The board in its bench.
pub struct Pico<'a> {
    led: Output<'a>,
    button: Output<'a>,
    power: Output<'a>,
    adc: Adc<'a, Blocking>,
    light: Channel<'a>,
    supply: Channel<'a>,
}

impl<'a> Pico<'a> {
    /// All outputs off.
    pub fn new(
        led: Peri<'a, PIN_15>,
        button: Peri<'a, PIN_14>,
        power: Peri<'a, PIN_13>,
        adc: Peri<'a, ADC>,
        light: Peri<'a, PIN_26>,
        supply: Peri<'a, PIN_27>,
    ) -> Self {
        Self {
            led: Output::new(led, gpio::Level::Low),
            button: Output::new(button, gpio::Level::Low),
            power: Output::new(power, gpio::Level::Low),
            adc: Adc::new_blocking(adc, Config::default()),
            light: Channel::new_pin(light, Pull::None),
            supply: Channel::new_pin(supply, Pull::None),
        }
    }

    /// From 0 to 4095; 0 if the converter fails, which no host takes for light or power.
    fn read(adc: &mut Adc<'a, Blocking>, channel: &mut Channel<'a>) -> u16 {
        adc.blocking_read(channel).unwrap_or(0).min(4095)
    }
}

impl Pins for Pico<'_> {
    fn abilities(&self) -> Abilities {
        Abilities {
            led: Fitted::Yes,
            photodiode: Fitted::Yes,
            button: Fitted::Yes,
            power: Fitted::Yes,
            voltage: Fitted::Yes,
            current: Fitted::No,
        }
    }

    fn now(&self) -> Micros {
        Micros(Instant::now().as_micros())
    }

    fn set_led(&mut self, level: Level) {
        self.led.set_level(pin(level));
    }

    fn set_button(&mut self, level: Level) {
        self.button.set_level(pin(level));
    }

    fn set_power(&mut self, level: Level) {
        self.power.set_level(pin(level));
    }

    fn light(&mut self) -> u16 {
        Self::read(&mut self.adc, &mut self.light) << 4
    }

    fn supply(&mut self) -> Supply {
        let volts = u32::from(Self::read(&mut self.adc, &mut self.supply));
        Supply { millivolts: u16::try_from(volts * MILLIVOLTS / 4095).unwrap_or(u16::MAX), milliamperes: 0 }
    }
}

fn pin(level: Level) -> gpio::Level {
    match level {
        Level::Off => gpio::Level::Low,
        Level::On => gpio::Level::High,
    }
}

/// The flash chip's own number, in hexadecimal: it tells one rig from another.
pub fn serial<'b>(flash: Peri<'_, FLASH>, text: &'b mut [u8; 16]) -> &'b str {
    let mut id = [0; 8];
    let mut flash = Flash::<_, flash::Blocking, FLASH_SIZE>::new_blocking(flash);
    // Zeros are a serial number too, though not one of its own.
    let _ = flash.blocking_unique_id(&mut id);
    for (digits, byte) in text.chunks_exact_mut(2).zip(id) {
        for (digit, half) in digits.iter_mut().zip([byte >> 4, byte & 15]) {
            *digit = if half < 10 { b'0' + half } else { b'A' + half - 10 };
        }
    }
    core::str::from_utf8(text).unwrap_or_default()
}
