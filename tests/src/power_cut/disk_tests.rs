use super::*;

fn hex(text: &str) -> String {
    text.bytes().map(|octet| format!("\\x{octet:02x}")).collect()
}

fn call(name: &str, arguments: &[String], result: i64) -> Call {
    Call { name: name.to_owned(), arguments: arguments.join(", "), result, began: 0, ended: 0 }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", hex(text))
}

fn open(path: &str, flags: &str, descriptor: i64) -> Call {
    call("openat", &["AT_FDCWD".into(), quoted(path), flags.into(), "0644".into()], descriptor)
}

fn write(descriptor: i64, text: &str, at: u64) -> Call {
    let arguments = [format!("{descriptor}<x>"), quoted(text), text.len().to_string(), at.to_string()];
    call("pwrite64", &arguments, text.len() as i64)
}

fn on(name: &str, descriptor: i64) -> Call {
    call(name, &[format!("{descriptor}<x>")], 0)
}

fn disk(calls: &[Call]) -> Disk {
    let mut disk = Disk::new(Path::new("/d"));
    calls.iter().for_each(|call| disk.follow(call).unwrap());
    disk
}

fn content<'a>(image: &'a Image, name: &str) -> Option<&'a [u8]> {
    image.files.get(Path::new(name)).map(Vec::as_slice)
}

/// What a test says of changes, and of sectors.
struct Said<A, B>(A, B);

impl<A: Fn(Serial) -> bool, B: Fn(u64) -> Serial> Fates for Said<A, B> {
    fn is_there(&self, serial: Serial) -> bool {
        (self.0)(serial)
    }
    fn sector_until(&self, _: usize, sector: u64) -> Serial {
        (self.1)(sector)
    }
}

const NOTHING: Until = Until(0);
const ALL: Until = Until(Serial::MAX);

#[test]
fn what_was_not_synced_may_be_lost_and_what_was_may_not() {
    let begun = [open("/d/a", "O_RDWR|O_CREAT", 3), write(3, "one", 0), on("fsync", 3)];
    // The file's octets are synced; its name is not.
    assert_eq!(content(&disk(&begun).image(&NOTHING), "a"), None);
    let named = [begun.as_slice(), &[open("/d", "O_RDONLY", 4), on("fsync", 4), write(3, "TWO!", 1)]].concat();
    let disk = disk(&named);
    assert_eq!(content(&disk.image(&NOTHING), "a"), Some(b"one".as_slice()));
    assert_eq!(content(&disk.image(&ALL), "a"), Some(b"oTWO!".as_slice()));
    assert_eq!(disk.pending().len(), 1);
}

#[test]
fn each_sector_is_as_it_was_at_some_moment() {
    let sector = |letter: &str| letter.repeat(SECTOR as usize);
    let calls = [
        open("/d/a", "O_RDWR|O_CREAT", 3),
        write(3, &sector("a"), 0),
        write(3, &[sector("b"), sector("b")].concat(), 0),
        write(3, "c", 0),
    ];
    let disk = disk(&calls);
    let image = |until: &'static [Serial]| disk.image(&Said(|_| true, move |sector| until[sector as usize]));
    // Before the second write, and after it; between nothing and zeros there is no third.
    let mixed = image(&[3, 9]);
    assert_eq!(content(&mixed, "a"), Some([sector("a"), sector("b")].concat().as_bytes()));
    let whole = image(&[9, 3]);
    assert_eq!(content(&whole, "a").unwrap(), ["c", &sector("b")[1..]].concat().as_bytes());
    let holed = image(&[0, 9]);
    assert_eq!(content(&holed, "a"), Some([vec![0; SECTOR as usize], sector("b").into_bytes()].concat().as_slice()));
}

#[test]
fn a_lost_change_of_length_takes_what_came_after_with_it() {
    let cut = call("ftruncate", &["3<x>".into(), "1".into()], 0);
    let disk = disk(&[open("/d/a", "O_RDWR|O_CREAT", 3), write(3, "one", 0), cut, write(3, "2", 0)]);
    let lost = disk.image(&Said(|serial| serial != 3, |_| Serial::MAX));
    assert_eq!(content(&lost, "a"), Some(b"one".as_slice()));
    assert_eq!(content(&disk.image(&ALL), "a"), Some(b"2".as_slice()));
}

#[test]
fn names_of_a_folder_keep_their_order_and_renaming_is_all_or_nothing() {
    let rename = call("rename", &[quoted("/d/a"), quoted("/d/b")], 0);
    let unlink = call("unlink", &[quoted("/d/b")], 0);
    let calls = [open("/d/a", "O_RDWR|O_CREAT", 3), rename, unlink];
    let disk = disk(&calls);
    let names = |upto: Serial| {
        let image = disk.image(&Until(upto + 1));
        image.files.keys().map(|path| path.display().to_string()).collect::<Vec<_>>()
    };
    assert_eq!((names(0).len(), names(1), names(2), names(3).len()), (0, vec!["a".into()], vec!["b".into()], 0));
    // The unlinking cannot be there without the renaming before it.
    let image = disk.image(&Said(|serial| serial != 2, |_| Serial::MAX));
    assert!(content(&image, "a").is_some());
}

#[test]
fn writes_go_where_the_descriptor_stands_and_folders_move_with_what_is_in_them() {
    let plain = |text: &str| call("write", &["3<x>".into(), quoted(text), text.len().to_string()], text.len() as i64);
    let calls = [
        call("mkdir", &[quoted("/d/one"), "0777".into()], 0),
        open("/d/one/a", "O_WRONLY|O_CREAT|O_TRUNC", 3),
        plain("ab"),
        plain("cd"),
        call("lseek", &["3<x>".into(), "1".into(), "SEEK_SET".into()], 1),
        plain("X"),
        call("rename", &[quoted("/d/one"), quoted("/d/two")], 0),
        call("ftruncate", &["3<x>".into(), "3".into()], 0),
        on("close", 3),
    ];
    let image = disk(&calls).image(&ALL);
    assert_eq!(content(&image, "two/a"), Some(b"aXc".as_slice()));
    assert!(image.folders.contains(Path::new("two")) && !image.folders.contains(Path::new("one")));
}

#[test]
fn what_the_model_has_no_words_for_is_an_error() {
    let mut disk = disk(&[open("/d/a", "O_RDWR|O_CREAT", 3)]);
    let map = |file: &str| {
        let flags = ["NULL", "4096", "PROT_READ|PROT_WRITE", "MAP_SHARED", file, "0"].map(String::from);
        call("mmap", &flags, 1)
    };
    assert!(disk.follow(&map(&format!("3<{}>", hex("/d/a")))).is_err());
    assert!(disk.follow(&map(&format!("3<{}>", hex("/d/a-shm")))).is_ok());
    assert!(disk.follow(&map("9<x>")).is_ok());
    assert!(disk.follow(&call("fallocate", &["3<x>".into()], 0)).is_err());
    assert!(disk.follow(&call("fallocate", &["9<x>".into()], 0)).is_ok());
    assert!(disk.follow(&open("/elsewhere/a", "O_RDWR|O_CREAT", 5)).is_ok());
    assert!(disk.follow(&write(5, "x", 0)).is_ok());
    assert_eq!(disk.changes(), 1);
}
