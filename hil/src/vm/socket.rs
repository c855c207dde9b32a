//! What is plugged into the machine's USB sockets.

use super::VmError;
use super::qemu::{Machine, Socket};
use crate::wire::{Answer, Ask};
use doorframe_virtual_board::{
    Board, BoardConfig, ConfigError, FaultPlan, Rig, SerialEnd, Serving, Transfer, serve_usbredir,
};

/// Which board to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Virtual {
    /// Loses nothing.
    Bulk,
    /// As most cameras: what the bus has no room for is lost.
    Isochronous,
}

/// A camera board, in a machine's socket or in nobody's.
pub(super) struct Sockets {
    kind: Virtual,
    camera: Option<(Board, Serving)>,
    _rig: (Rig, SerialEnd, Serving),
}

impl Sockets {
    /// Plugs in a board with this plan, and its rig's controller.
    pub(super) fn plug(machine: &Machine, kind: Virtual, plan: &FaultPlan) -> Result<Self, VmError> {
        let (rig, end) = Rig::new("VRIG-0001")?;
        let stream = machine.plug(Socket::Rig).map_err(|error| VmError::Plug(error.to_string()))?;
        let serving = serve_usbredir(&rig, stream).map_err(|error| VmError::Plug(error.to_string()))?;
        let mut sockets = Self { kind, camera: None, _rig: (rig, end, serving) };
        sockets.board(machine, plan)?;
        Ok(sockets)
    }

    /// Does what a guest asks for.
    pub(super) fn answer(&mut self, machine: &Machine, ask: &Ask) -> Result<Answer, VmError> {
        match ask {
            Ask::Board(plan) => match plan.parse() {
                Ok(plan) => match self.board(machine, &plan) {
                    Err(VmError::Board(ConfigError::Transfer { only, .. })) => {
                        return Ok(Answer::Needs(sends(only).to_owned()));
                    }
                    done => done?,
                },
                Err(error) => return Ok(Answer::Failed(error.to_string())),
            },
            // Its socket is closed with it.
            Ask::Unplug => self.camera = None,
            Ask::Press => match &self.camera {
                Some((board, _)) => board.press(),
                None => return Ok(Answer::Failed("no board is plugged in".to_owned())),
            },
            Ask::Count => {
                let delivered = self.camera.as_ref().map(|(board, _)| board.delivered()).unwrap_or_default();
                return Ok(Answer::Counted { skipped: delivered.frames_skipped, faults: delivered.fired.len() as u64 });
            }
        }
        Ok(Answer::Done)
    }

    fn board(&mut self, machine: &Machine, plan: &FaultPlan) -> Result<(), VmError> {
        self.camera = None;
        let transfer = match self.kind {
            Virtual::Bulk => Transfer::Bulk,
            Virtual::Isochronous => Transfer::Isochronous,
        };
        let mut config = BoardConfig::new(transfer);
        config.faults = plan.clone();
        let board = Board::new(config)?;
        let stream = machine.plug(Socket::Camera).map_err(|error| VmError::Plug(error.to_string()))?;
        let serving = serve_usbredir(&board, stream).map_err(|error| VmError::Plug(error.to_string()))?;
        self.camera = Some((board, serving));
        Ok(())
    }
}

/// The board that a fault is for.
fn sends(only: Transfer) -> &'static str {
    match only {
        Transfer::Bulk => "a board that sends in bulk",
        Transfer::Isochronous => "a board that sends isochronously",
    }
}
