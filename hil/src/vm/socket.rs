//! What is plugged into the machine's USB sockets.

use super::VmError;
use super::qemu::{Machine, Socket};
use super::rig::{Bench, Running};
use crate::wire::{Answer, Ask};
use doorframe_virtual_board::{Board, BoardConfig, ConfigError, FaultPlan, Rig, Serving, Transfer, serve_usbredir};
use std::sync::{Arc, Mutex, PoisonError};

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
    bench: Arc<Mutex<Bench>>,
    _rig: (Rig, Serving, Running),
}

impl Sockets {
    /// Plugs in a board with this plan, and its rig's controller.
    pub(super) fn plug(machine: &Machine, kind: Virtual, plan: &FaultPlan) -> Result<Self, VmError> {
        let (rig, end) = Rig::new("VRIG-0001")?;
        let stream = machine.plug(Socket::Rig).map_err(|error| VmError::Plug(error.to_string()))?;
        let serving = serve_usbredir(&rig, stream).map_err(|error| VmError::Plug(error.to_string()))?;
        let bench = Arc::new(Mutex::new(Bench::default()));
        let running = Running::start(end, Arc::clone(&bench)).map_err(|error| VmError::Plug(error.to_string()))?;
        let mut sockets = Self { kind, camera: None, bench, _rig: (rig, serving, running) };
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
            Ask::Unplug => self.pull(),
            Ask::Press | Ask::Light(_) => return Ok(Answer::Failed("the machine has a rig for that".to_owned())),
            Ask::Count => {
                let delivered = self.camera.as_ref().map(|(board, _)| board.delivered()).unwrap_or_default();
                return Ok(Answer::Counted { skipped: delivered.frames_skipped, faults: delivered.fired.len() as u64 });
            }
        }
        Ok(Answer::Done)
    }

    /// Takes the board off: its socket is closed with it.
    fn pull(&mut self) {
        self.place(None);
        self.camera = None;
    }

    fn place(&self, board: Option<Board>) {
        self.bench.lock().unwrap_or_else(PoisonError::into_inner).place(board);
    }

    fn board(&mut self, machine: &Machine, plan: &FaultPlan) -> Result<(), VmError> {
        self.pull();
        let transfer = match self.kind {
            Virtual::Bulk => Transfer::Bulk,
            Virtual::Isochronous => Transfer::Isochronous,
        };
        let mut config = BoardConfig::new(transfer);
        config.faults = plan.clone();
        let board = Board::new(config)?;
        let stream = machine.plug(Socket::Camera).map_err(|error| VmError::Plug(error.to_string()))?;
        let serving = serve_usbredir(&board, stream).map_err(|error| VmError::Plug(error.to_string()))?;
        self.place(Some(board.clone()));
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
