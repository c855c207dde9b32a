//! What this build is made of: which encoders and decoders, of which version, and how fast they are here.

use std::fmt;

/// One library that codes or decodes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Library {
    /// Its name.
    pub name: &'static str,
    /// What is used of it.
    pub part: &'static str,
    /// Its version, by its own word.
    pub version: String,
    /// Whether its assembly is in the build.
    pub assembly: Assembly,
}

impl Library {
    /// Whether its assembly was left out of the build, so that it runs at half its speed or less.
    pub fn slow(&self) -> bool {
        self.assembly == Assembly::LeftOut
    }
}

/// Whether a library's assembly is in the build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assembly {
    /// It is.
    BuiltIn,
    /// It could be and is not.
    LeftOut,
    /// It has none, and is as fast as it can be.
    Needless,
}

impl Assembly {
    /// Of what is built with it wherever it `exists`: there, a build without an assembler fails.
    #[cfg(any(feature = "av1", feature = "aom", feature = "turbojpeg"))]
    const fn wherever(exists: bool) -> Self {
        if exists { Self::BuiltIn } else { Self::LeftOut }
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let assembly = match self.assembly {
            Assembly::BuiltIn => ", with assembly",
            Assembly::LeftOut => ", WITHOUT assembly, half as fast",
            Assembly::Needless => "",
        };
        write!(f, "{} {} ({}){assembly}", self.name, self.version, self.part)
    }
}

/// Every library that this build has, H.264 first.
pub fn libraries() -> Vec<Library> {
    vec![
        #[cfg(feature = "h264")]
        Library {
            name: "openh264",
            part: "H.264 encoder and decoder",
            version: crate::h264::openh264::version(),
            assembly: if cfg!(openh264_asm) { Assembly::BuiltIn } else { Assembly::LeftOut },
        },
        #[cfg(feature = "aom")]
        Library {
            name: "libaom",
            part: "AV1 encoder for live video and stills",
            version: crate::av1::aom::version(),
            assembly: Assembly::wherever(HAS_ASSEMBLY),
        },
        #[cfg(feature = "av1")]
        Library {
            name: "rav1e",
            part: "AV1 encoder",
            version: ::rav1e::version::short(),
            assembly: Assembly::wherever(HAS_ASSEMBLY),
        },
        #[cfg(feature = "av1")]
        Library {
            name: "rav1d",
            part: "AV1 decoder",
            version: ::rav1d::src::lib::rav1d_version().to_owned(),
            assembly: Assembly::wherever(HAS_ASSEMBLY),
        },
        #[cfg(feature = "convert")]
        Library {
            name: "zune-jpeg",
            part: "JPEG decoder",
            version: crate::convert::ZUNE_VERSION.to_owned(),
            assembly: Assembly::Needless,
        },
        #[cfg(feature = "turbojpeg")]
        Library {
            name: "libjpeg-turbo",
            part: "JPEG decoder for the own camera",
            version: crate::convert::TURBO_VERSION.to_owned(),
            assembly: Assembly::wherever(HAS_ASSEMBLY),
        },
    ]
}

/// Where these libraries have assembly at all.
#[cfg(any(feature = "av1", feature = "aom", feature = "turbojpeg"))]
const HAS_ASSEMBLY: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// Instruction sets of this processor that the libraries make use of, the newest last; empty where only the least of
/// its kind is there, or this kind of processor is not known here.
pub fn cpu_features() -> Vec<&'static str> {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    let known = [
        ("sse2", std::is_x86_feature_detected!("sse2")),
        ("ssse3", std::is_x86_feature_detected!("ssse3")),
        ("sse4.1", std::is_x86_feature_detected!("sse4.1")),
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("avx512bw", std::is_x86_feature_detected!("avx512bw")),
    ];
    #[cfg(target_arch = "aarch64")]
    let known = [
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        ("dotprod", std::arch::is_aarch64_feature_detected!("dotprod")),
        ("i8mm", std::arch::is_aarch64_feature_detected!("i8mm")),
    ];
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    let known: [(&str, bool); 0] = [];
    known.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_library_says_so_and_each_knows_its_version() {
        for library in libraries() {
            assert!(library.version.len() >= 5 && library.version.contains(|c: char| c.is_ascii_digit()), "{library}");
            assert_eq!(library.to_string().contains("WITHOUT"), library.slow());
        }
    }

    #[test]
    fn each_feature_brings_its_libraries() {
        let wanted = [
            (cfg!(feature = "h264"), "openh264"),
            (cfg!(feature = "aom"), "libaom"),
            (cfg!(feature = "av1"), "rav1e"),
            (cfg!(feature = "av1"), "rav1d"),
            (cfg!(feature = "convert"), "zune-jpeg"),
            (cfg!(feature = "turbojpeg"), "libjpeg-turbo"),
        ];
        let wanted = wanted.into_iter().filter_map(|(is_in, name)| is_in.then_some(name));
        assert!(libraries().iter().map(|library| library.name).eq(wanted), "{:?}", libraries());
    }

    #[cfg(feature = "convert")]
    #[test]
    fn the_version_of_zune_jpeg_is_the_one_that_is_built() {
        let manifest = include_str!("../Cargo.toml");
        let wanted = format!("zune-jpeg = {{ version = \"={}\"", crate::convert::ZUNE_VERSION);
        assert!(manifest.contains(&wanted), "no {wanted} in Cargo.toml");
    }
}
