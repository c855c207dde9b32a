//! Finds out what the libraries do not say themselves: whether openh264 gets its x86 assembly, so that a slow build says so
//! instead of being slow, and which version libjpeg-turbo has.
//!
//! The build script of openh264-sys2 falls back to plain C++ in silence where it finds no `nasm`: half the speed.
//! The same conditions are looked at here. On ARM the compiler assembles the sources itself.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for name in ["NASM", "OPENH264_NO_ASM", "PATH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    println!("cargo::rustc-check-cfg=cfg(openh264_asm)");
    if env::var_os("CARGO_FEATURE_TURBOJPEG").is_some() {
        println!("cargo::rustc-env=DOORFRAME_LIBJPEG_TURBO={}", libjpeg_turbo());
    }
    if env::var_os("CARGO_FEATURE_H264").is_none() {
        return;
    }
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let unwanted = env::var_os("OPENH264_NO_ASM").is_some();
    let has_asm = match arch.as_str() {
        "x86" | "x86_64" => !unwanted && nasm_runs(),
        "arm" | "aarch64" => env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os != "windows"),
        _ => false,
    };
    if has_asm {
        println!("cargo::rustc-cfg=openh264_asm");
    } else if matches!(arch.as_str(), "x86" | "x86_64") {
        let remedy = if unwanted { "Unset OPENH264_NO_ASM" } else { "Install nasm" };
        println!("cargo::warning=openh264 is built WITHOUT its assembly: H.264 runs at half its speed. {remedy}.");
    }
}

/// Version of libjpeg-turbo, from the headers that its build points to.
fn libjpeg_turbo() -> String {
    const OLDEST: &str = "3.0 or later";
    let folders = env::var("DEP_TURBOJPEG_INCLUDE").unwrap_or_default();
    let mut configs =
        folders.split(',').filter_map(|folder| fs::read_to_string(Path::new(folder).join("jconfig.h")).ok());
    let version = configs.find_map(|config| {
        config.lines().find_map(|line| Some(line.strip_prefix("#define LIBJPEG_TURBO_VERSION ")?.trim().to_owned()))
    });
    version.unwrap_or_else(|| OLDEST.to_owned())
}

/// Whether the assembler that openh264-sys2 would call answers.
fn nasm_runs() -> bool {
    let nasm = env::var_os("NASM").unwrap_or_else(|| "nasm".into());
    Command::new(nasm).arg("-v").output().is_ok_and(|output| output.status.success())
}
