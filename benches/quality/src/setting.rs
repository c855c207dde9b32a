//! What every encoder is asked for.

use doorframe_codec::units::{Bitrate, FrameRate};

/// One task, the same for all encoders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Pictures a second.
    pub(crate) rate: FrameRate,
    /// Bits a second, as constant as can be.
    pub(crate) bitrate: Bitrate,
    /// Pictures from one keyframe to the next; 0 for one keyframe at the beginning.
    pub(crate) gop: u32,
    /// Threads to encode with; 1 to 16.
    pub(crate) threads: u8,
}

impl Setting {
    /// Whether the picture at `index` is to be a keyframe.
    pub(crate) fn wants_keyframe(&self, index: usize) -> bool {
        index == 0 || usize::try_from(self.gop).is_ok_and(|gop| gop > 0 && index.is_multiple_of(gop))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// 30 pictures a second on one thread.
    pub(crate) fn setting(kbps: u32, gop: u32) -> Setting {
        Setting { rate: FrameRate::whole(30).unwrap(), bitrate: Bitrate::from_kbps(kbps), gop, threads: 1 }
    }

    #[test]
    fn keyframes_come_as_often_as_asked_for() {
        let wanted = |gop| -> Vec<_> { (0..7).filter(|&n| setting(100, gop).wants_keyframe(n)).collect() };
        assert_eq!(wanted(0), [0]);
        assert_eq!(wanted(1), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(wanted(3), [0, 3, 6]);
    }
}
