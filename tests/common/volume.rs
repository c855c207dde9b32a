//! A small disk of its own: a tmpfs that this test mounts, and may fill or make read-only.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) struct Volume(PathBuf);

fn run(command: &str, arguments: &[&str]) -> bool {
    Command::new(command).args(arguments).status().is_ok_and(|status| status.success())
}

impl Volume {
    /// A disk of `kib` KiB. `None` where mounting takes a namespace of its own: then the test was run there, and has passed.
    pub(crate) fn mount(name: &str, kib: u32, test: &str) -> Option<Self> {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("volumes").join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.to_str().unwrap();
        if run("mount", &["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs", path]) {
            return Some(Self(folder));
        }
        assert!(std::env::var_os(INSIDE).is_none(), "a tmpfs cannot be mounted, not even in a namespace of its own");
        let inside = Command::new("unshare")
            .args(["--map-root-user", "--mount"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, "1")
            .status();
        assert!(inside.unwrap().success(), "{test} failed in a namespace of its own");
        None
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Waits while a file is open for writing.
    pub(crate) fn remount(&self, how: &str) {
        for _ in 0..100 {
            if run("mount", &["-o", &format!("remount,{how}"), self.0.to_str().unwrap()]) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("the disk cannot be mounted {how}");
    }
}

const INSIDE: &str = "DOORFRAME_TEST_NAMESPACE";

impl Drop for Volume {
    fn drop(&mut self) {
        run("umount", &["--lazy", self.0.to_str().unwrap()]);
        let _left = std::fs::remove_dir(&self.0);
    }
}
