//! Class requests of a camera (UVC 1.1 §4).

use super::Camera;
use super::descriptors::PROBE;
use super::negotiation::Choice;
use crate::config::Transfer;
use crate::usb::{Control, Setup};
use std::time::Duration;

/// Least and most steps of brightness.
const BRIGHTNESS: i16 = 64;

impl Camera {
    /// Set-up of streaming: probe and commit.
    pub(super) fn handle_streaming(&mut self, now: Duration, request: Setup, data: &[u8]) -> Control {
        let commit = match request.value {
            0x0100 => false,
            0x0200 => true,
            _ => return Control::Stall,
        };
        match request.request {
            0x01 => {
                let Some(choice) = self.offer.parse(data) else { return Control::Stall };
                self.probed = choice;
                if commit {
                    self.committed = choice;
                    // Isochronous streams start with their alternate setting.
                    if self.offer.transfer == Transfer::Bulk {
                        self.start(now);
                    }
                }
                Control::Done(Vec::new())
            }
            0x81 => Control::Done(self.offer.emit(if commit { self.committed } else { self.probed }).to_vec()),
            0x82 | 0x83 => Control::Done(self.offer.emit(self.probed).to_vec()),
            0x87 => Control::Done(self.offer.emit(Choice::first(&self.offer)).to_vec()),
            0x85 => Control::Done(vec![PROBE as u8, 0]),
            0x86 => Control::Done(vec![3]),
            _ => Control::Stall,
        }
    }

    /// The brightness of the processing unit (UVC 1.1 §4.2.2.3.2).
    pub(super) fn handle_brightness(&mut self, request: u8, data: &[u8]) -> Control {
        let value = match request {
            0x01 => {
                let Ok(value) = data.try_into().map(i16::from_le_bytes) else { return Control::Stall };
                if !(-BRIGHTNESS..=BRIGHTNESS).contains(&value) {
                    return Control::Stall;
                }
                self.brightness = value;
                return Control::Done(Vec::new());
            }
            0x81 => self.brightness,
            0x82 => -BRIGHTNESS,
            0x83 => BRIGHTNESS,
            0x84 => 1,
            0x87 => 0,
            0x85 => return Control::Done(vec![2, 0]),
            0x86 => return Control::Done(vec![3]),
            _ => return Control::Stall,
        };
        Control::Done(value.to_le_bytes().to_vec())
    }
}
