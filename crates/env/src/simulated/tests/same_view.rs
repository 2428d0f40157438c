//! One script, a real disk and a simulated one: both must show the same.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use crate::simulated::SimDisk;
use crate::{Env, File, Fs, OpenMode};

/// Runs the script below `dir` and tells what it saw.
fn run(fs: &dyn Fs, dir: &Path) -> String {
    let mut seen = String::new();
    let mut note = |what: &str, result: String| writeln!(seen, "{what}: {result}").expect("a string takes all");
    let path = |name: &str| dir.join(name);
    let open = |name: &str, mode| fs.open(&path(name), mode);
    let names = |name: &str| match fs.list(&path(name)) {
        Ok(entries) => entries.iter().map(|it| format!("{}{} ", it.name, if it.is_dir { "/" } else { "" })).collect(),
        Err(error) => format!("{:?}", error.kind()),
    };
    let text = |file: &Arc<dyn File>| {
        let mut bytes = vec![0; file.len().expect("length") as usize];
        file.read_exact_at(0, &mut bytes).expect("read");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    fn kind<T>(result: std::io::Result<T>) -> String {
        match result {
            Ok(_) => "ok".to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        }
    }

    note("make directories", kind(fs.create_dir_durable(&path("a/b/c"))));
    note("make them again", kind(fs.create_dir_all(&path("a/b/c"))));
    note("read what is missing", kind(open("a/x", OpenMode::Read)));
    note("write what is missing", kind(open("a/x", OpenMode::ReadWrite)));
    note("create in a missing directory", kind(open("z/x", OpenMode::Create)));
    note("list what is missing", names("z"));

    let file = open("a/x", OpenMode::CreateNew).expect("created");
    note("create it again", kind(open("a/x", OpenMode::CreateNew)));
    note("make a directory of it", kind(fs.create_dir_all(&path("a/x"))));
    note("a file as a directory", kind(open("a/x/y", OpenMode::Create)));
    note("list a file", names("a/x"));
    file.write_at(0, b"hello").expect("written");
    file.write_parts_at(10, &[b"", b"wor", b"", b"ld"]).expect("written");
    file.write_parts_at(0, &[]).expect("nothing written");
    note("a hole is zeros", text(&file).replace('\0', "_"));
    note("length", format!("{:?} {:?}", file.len().ok(), fs.file_bytes(&path("a/x")).ok()));
    let mut buf = [0; 8];
    note("read at the end", format!("{:?}", file.read_at(12, &mut buf).ok()));
    note("read behind the end", format!("{:?}", file.read_at(99, &mut buf).ok()));
    note("read too much", kind(file.read_exact_at(12, &mut buf)));
    file.set_len(12).expect("cut");
    file.set_len(14).expect("filled");
    note("cut and filled", text(&file).replace('\0', "_"));
    file.allocate(20).expect("room");
    file.allocate(3).expect("room");
    note("allocated", text(&file).replace('\0', "_"));
    let second = open("a/x", OpenMode::Read).expect("opened");
    note("writing without the right fails", second.write_at(0, b"no").is_err().to_string());
    note("cutting without the right fails", second.set_len(0).is_err().to_string());
    file.write_at(0, b"J").expect("written");
    note("both handles see it", text(&second).replace('\0', "_"));
    note("sync", kind(file.sync()));

    note("add in a missing directory", kind(open("z/x", OpenMode::Append)));
    note("add to a directory", open("a/b", OpenMode::Append).is_err().to_string());
    let log = open("a/log", OpenMode::Append).expect("made");
    log.append(b"one ").expect("added");
    open("a/log", OpenMode::Append).expect("it is there").append(b"two ").expect("added");
    log.append(b"three ").expect("added");
    note("added to the end", String::from_utf8_lossy(&fs.read(&path("a/log")).expect("read")).into_owned());
    open("a/log", OpenMode::ReadWrite).expect("opened").set_len(4).expect("cut");
    log.append(b"four").expect("added");
    note(
        "added to the end, which is another",
        String::from_utf8_lossy(&fs.read(&path("a/log")).expect("read")).into_owned(),
    );
    fs.remove_file(&path("a/log")).expect("removed");

    note("rename", kind(fs.rename(&path("a/x"), &path("a/b/y"))));
    note("names", format!("{}| {}| {}", names("a"), names("a/b"), names("a/b/c")));
    note("rename what is missing", kind(fs.rename(&path("a/x"), &path("a/b/y"))));
    note("rename into a missing directory", kind(fs.rename(&path("a/b/y"), &path("z/y"))));
    note("rename to itself", kind(fs.rename(&path("a/b/y"), &path("a/b/y"))));
    note("rename over a directory", kind(fs.rename(&path("a/b/y"), &path("a/b/c"))));
    note("rename a directory over a file", kind(fs.rename(&path("a/b/c"), &path("a/b/y"))));
    note("rename a directory into itself", kind(fs.rename(&path("a"), &path("a/b/d"))));
    open("a/full", OpenMode::Create).expect("created").write_at(0, b"other").expect("written");
    note("rename over a file", kind(fs.rename(&path("a/full"), &path("a/b/y"))));
    note("the old handle has the old file", text(&file).replace('\0', "_"));
    note("the name has the new one", String::from_utf8_lossy(&fs.read(&path("a/b/y")).expect("read")).into_owned());
    fs.create_dir_all(&path("a/e")).expect("made");
    note("rename over a full directory", kind(fs.rename(&path("a/e"), &path("a/b"))));
    note("rename over an empty directory", kind(fs.rename(&path("a/b"), &path("a/e"))));
    note("names", format!("{}| {}", names("a"), names("a/e")));

    note("replace", kind(fs.replace(&path("a/e/y"), b"replaced")));
    note("replaced", String::from_utf8_lossy(&fs.read(&path("a/e/y")).expect("read")).into_owned());
    note("remove a directory as a file", fs.remove_file(&path("a/e")).is_err().to_string());
    let held = open("a/e/y", OpenMode::ReadWrite).expect("opened");
    note("remove", kind(fs.remove_file(&path("a/e/y"))));
    note("remove again", kind(fs.remove_file(&path("a/e/y"))));
    note("a removed file lives on", text(&held));
    held.write_at(0, b"still").expect("written");
    note("exists", format!("{:?} {:?}", fs.exists(&path("a/e")).ok(), fs.exists(&path("a/e/y")).ok()));
    note("sync directory", kind(fs.sync_dir(&path("a"))));
    note("sync missing directory", kind(fs.sync_dir(&path("z"))));
    note("remove a tree", kind(fs.remove_dir_all(&path("a"))));
    note("remove it again", kind(fs.remove_dir_all(&path("a"))));
    note("names", names("."));

    let lock = fs.lock(dir, "lock").expect("free");
    note("lock twice", kind(fs.lock(dir, "lock")));
    drop(lock);
    note("lock after release", kind(fs.lock(dir, "lock")));
    note("names", names("."));
    note("there is room", (fs.free_bytes(dir).expect("known") > 0).to_string());
    seen
}

#[test]
fn a_real_and_a_simulated_disk_show_the_same() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let real = run(&**Env::real().fs(), dir.path());
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new("/some/where")).expect("made");
    let simulated = run(&disk, Path::new("/some/where"));
    assert_eq!(real, simulated);
    assert!(real.contains("a hole is zeros: hello_____world"), "{real}");
}

#[test]
fn long_writes_in_many_parts_arrive_whole() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let parts: Vec<Vec<u8>> = (0..3000u32).map(|index| index.to_le_bytes().to_vec()).collect();
    let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let disk = SimDisk::new(1);
    for (fs, path) in [(&**Env::real().fs(), dir.path().join("f")), (&disk as &dyn Fs, "/f".into())] {
        let file = fs.open(&path, OpenMode::Create).expect("created");
        file.write_parts_at(5, &slices).expect("written");
        assert_eq!(fs.read(&path).expect("read")[5..], parts.concat());
    }
}
