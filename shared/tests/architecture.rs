//! The house rules that no compiler keeps: the floors, where `unsafe` may be, and that CONFORMANCE.md and the
//! tests agree. It reads the sources as text.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up: each may use those before it.
const FLOORS: [&str; 7] = ["sys", "memory", "sync", "channel", "process", "manager", "demo"];

/// The files that may open `unsafe`, with the reason.
const UNSAFE: [(&str, &str); 22] = [
    ("memory/blocks.rs", "bytes of items"),
    ("memory/copy.rs", "bytes that several processes see"),
    ("memory/place.rs", "bytes of items"),
    ("channel/connection/road.rs", "shared memory that begins as zeroes"),
    ("manager/desk.rs", "shared memory that begins as zeroes"),
    ("memory/plain.rs", "which types may lie in shared memory"),
    ("memory/segment.rs", "a mapping as a value"),
    ("memory/stream.rs", "bytes that another process writes"),
    ("process/builder.rs", "the fork"),
    ("process/report.rs", "bytes that a child writes"),
    ("sync/barrier.rs", "zeroes as parties"),
    ("sync/condition.rs", "zeroes as waiters"),
    ("sync/lock.rs", "data that a lock guards"),
    ("sync/pool.rs", "slots that are zeroes at first"),
    ("sync/reentrant.rs", "data that a lock guards"),
    ("sys/call.rs", "a system call"),
    ("sys/futex.rs", "a system call"),
    ("sys/map.rs", "a system call"),
    ("sys/mask.rs", "a system call"),
    ("sys/pidfd.rs", "a system call"),
    ("sys/signal.rs", "a system call"),
    ("sys/task.rs", "a system call"),
];

const LONGEST: usize = 400;

/// A source file: its path below `src`, or from `tests` on, and its text.
#[derive(Clone)]
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The lines of code: number and text, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(n, line)| (n + 1, code_of(line)))
    }

    fn floor(&self) -> Option<usize> {
        let name = self.path.split(['/', '.']).next()?;
        FLOORS.iter().position(|floor| *floor == name)
    }
}

/// What is before the comment. A `//` in a text would be cut as well, which hides nothing that is looked for.
fn code_of(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<Source> {
    below("src", &root().join("src"))
}

fn tests_too() -> Vec<Source> {
    [sources(), below("tests", &root())].concat()
}

/// All of a folder of the crate, their paths as seen `from` there.
fn below(folder: &str, from: &Path) -> Vec<Source> {
    let read = |path: PathBuf| Source {
        path: path.strip_prefix(from).expect("below").to_str().expect("UTF-8").to_owned(),
        text: fs::read_to_string(&path).expect("UTF-8"),
    };
    files(&root().join(folder)).into_iter().map(read).collect()
}

/// Fails with everything that is wrong, not only with the first.
#[track_caller]
fn none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Which other modules of the crate a file names: `crate::sync::…`, and each name of `crate::{a, b::c}`.
fn modules_named(source: &Source) -> Vec<String> {
    let code: String = source.code().map(|(_, line)| line.trim().to_owned() + " ").collect();
    let mut named = Vec::new();
    for (place, _) in code.match_indices("crate::") {
        let rest = &code[place + "crate::".len()..];
        named.extend(match rest.strip_prefix('{') {
            None => vec![first_name(rest)],
            Some(list) => first_names_of_list(list),
        });
    }
    // `super::super::` leaves its own floor.
    if code.contains("super::super::") {
        named.push("super::super".to_owned());
    }
    named
}

fn first_name(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first name of each item, up to the brace that closes the list.
fn first_names_of_list(list: &str) -> Vec<String> {
    let (mut depth, mut item, mut names) = (0, String::new(), Vec::new());
    for c in list.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => names.push(first_name(&std::mem::take(&mut item))),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                item.push(c);
            }
        }
    }
    names.push(first_name(&item));
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn no_floor_names_a_higher_one() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(floor) = source.floor() else { continue };
        for name in modules_named(&source) {
            let named = FLOORS.iter().position(|floor| *floor == name);
            if named.is_some_and(|named| named > floor) || name == "super::super" {
                wrong.push(format!("{}, of {}, names {name}", source.path, FLOORS[floor]));
            }
        }
    }
    none(wrong);
}

#[test]
fn every_module_has_its_floor() {
    let known =
        |path: &str| path == "lib.rs" || FLOORS.iter().any(|floor| path.starts_with(&format!("{floor}/")));
    none(sources().into_iter().map(|source| source.path).filter(|path| !known(path)).collect());
}

#[test]
fn unsafe_is_opened_in_few_files() {
    let opens = |source: &Source| source.code().any(|(_, line)| line.contains("allow(unsafe_code)"));
    let open: BTreeSet<_> = sources().into_iter().filter(opens).map(|source| source.path).collect();
    let allowed: BTreeSet<_> = UNSAFE.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(open, allowed);
}

#[test]
fn every_unsafe_says_why_it_is_safe() {
    let mut wrong = Vec::new();
    for source in sources() {
        let lines: Vec<_> = source.text.lines().map(str::trim).collect();
        for (number, code) in source.code() {
            if (code.contains("unsafe {") || code.contains("unsafe impl")) && !explained(&lines, number - 1) {
                wrong.push(format!("{}:{number}: {}", source.path, code.trim()));
            }
        }
    }
    none(wrong);
}

/// Whether a `// SAFETY:` stands above: comments, attributes and the beginning of the same statement may lie
/// between.
fn explained(lines: &[&str], place: usize) -> bool {
    let above = lines[..place].iter().rev();
    for line in above {
        if line.starts_with("// SAFETY:") {
            return true;
        }
        let same_statement = line.starts_with("//") || line.starts_with("#[") || line.ends_with(['=', '(']);
        if !same_statement {
            return false;
        }
    }
    false
}

#[test]
fn every_file_begins_with_what_it_is_for_and_is_short() {
    let mut wrong = Vec::new();
    for source in tests_too() {
        let lines = source.text.lines().count();
        if !source.text.starts_with("//! ") {
            wrong.push(format!("{} does not begin with //!", source.path));
        }
        if lines > LONGEST && !source.path.starts_with("tests/") {
            wrong.push(format!("{} has {lines} lines", source.path));
        }
    }
    none(wrong);
}

#[test]
fn nothing_is_left_half_done() {
    let mut wrong = Vec::new();
    let marks = [("#[", "ignore"), ("todo", "!"), ("unimplemented", "!"), ("dbg", "!")]
        .map(|(a, b)| a.to_owned() + b);
    for source in tests_too() {
        for (number, code) in source.code() {
            if marks.iter().any(|mark| code.contains(mark)) {
                wrong.push(format!("{}:{number}: {}", source.path, code.trim()));
            }
        }
    }
    none(wrong);
}

#[test]
fn every_test_that_brings_its_own_main_is_declared_or_it_would_run_nothing() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("UTF-8");
    let declared = |name: &str| manifest.contains(&format!("name = \"{name}\"\nharness = false\n"));
    let own = tests_too().into_iter().filter(|source| source.text.contains("\nharness::main! {"));
    let names: Vec<_> = own
        .filter_map(|source| Some(source.path.strip_prefix("tests/")?.strip_suffix(".rs")?.to_owned()))
        .collect();
    assert!(names.len() > 20, "{names:?}");
    none(names.into_iter().filter(|name| !declared(name)).collect());
}

/// `proc_01_…`: an area's name, a number, a behaviour.
fn is_numbered(name: &str) -> bool {
    let mut parts = name.splitn(3, '_');
    let (area, number) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    ["proc", "lock", "sem", "cond", "barr", "evt", "que", "jq", "pipe", "val", "arr", "mgr", "sig"]
        .contains(&area)
        && number.len() == 2
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && parts.next().is_some()
}

/// The names of all functions in `tests/`.
fn tests() -> BTreeSet<String> {
    let texts = files(&root().join("tests")).into_iter().map(|path| fs::read_to_string(path).expect("UTF-8"));
    texts.flat_map(|text| text.split("\nfn ").skip(1).map(first_name).collect::<Vec<_>>()).collect()
}

/// A row of CONFORMANCE.md.
struct Row {
    id: String,
    /// R, A or D.
    kind: String,
    tests: Vec<String>,
    /// The whole last cell.
    answer: String,
}

fn conformance() -> Vec<Row> {
    let text = fs::read_to_string(root().join("CONFORMANCE.md")).expect("CONFORMANCE.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.filter_map(|row| {
        let cells: Vec<_> = row.split(" | ").collect();
        let [id, kind, _, answer] = cells[..] else { return None };
        let tests = answer.split('`').skip(1).step_by(2).filter(|name| is_numbered(name));
        let tests = tests.map(str::to_owned).collect();
        Some(Row { id: id.to_owned(), kind: kind.to_owned(), tests, answer: answer.to_owned() })
    })
    .collect()
}

#[test]
fn every_test_named_in_conformance_exists_under_its_number() {
    let (tests, rows, mut wrong) = (tests(), conformance(), Vec::new());
    for Row { id, tests: named, .. } in &rows {
        let prefix = id.to_lowercase().replace('-', "_") + "_";
        for name in named {
            if !tests.contains(name) {
                wrong.push(format!("{id}: there is no test {name}"));
            }
            if !name.starts_with(&prefix) {
                wrong.push(format!("{id}: {name} has another number"));
            }
        }
    }
    none(wrong);
}

#[test]
fn every_numbered_test_is_in_conformance() {
    let listed: BTreeSet<_> = conformance().into_iter().flat_map(|row| row.tests).collect();
    none(tests().into_iter().filter(|name| is_numbered(name) && !listed.contains(name)).collect());
}

#[test]
fn every_required_behaviour_has_a_test_and_every_other_one_or_a_reason() {
    let (rows, mut seen, mut wrong) = (conformance(), BTreeSet::new(), Vec::new());
    for row in &rows {
        let in_order = match row.kind.as_str() {
            "R" => !row.tests.is_empty(),
            "A" | "D" => !row.tests.is_empty() || row.answer.split_whitespace().count() > 3,
            _ => false,
        };
        if !in_order {
            wrong.push(format!("{} ({}): neither a test nor a reason", row.id, row.kind));
        }
        if !seen.insert(&row.id) {
            wrong.push(format!("{} is there twice", row.id));
        }
    }
    none(wrong);
    let of = |area: &str| rows.iter().filter(|row| row.id.starts_with(area)).count();
    let areas = [
        "PROC-", "LOCK-", "SEM-", "COND-", "BARR-", "EVT-", "QUE-", "JQ-", "PIPE-", "VAL-", "ARR-", "MGR-",
        "SIG-",
    ];
    assert_eq!(areas.map(of), [35, 12, 7, 10, 9, 6, 15, 5, 27, 6, 5, 24, 12], "no line may get lost");
}

#[test]
fn what_reads_the_sources_sees_what_it_should() {
    let source = Source {
        path: "sync/lock.rs".to_owned(),
        text: "//! Crate::process is fine in a comment: crate::process\n\
               use crate::{memory::{Plain, segment}, process::spawn};\n\
               let x = crate::sys::clock::now();\n"
            .to_owned(),
    };
    assert_eq!(modules_named(&source), ["memory", "process", "sys"]);
    assert_eq!(source.floor(), Some(2));
    assert!(explained(&["// SAFETY: it is", "unsafe { x() }"], 1));
    assert!(explained(&["// SAFETY: it is", "// really", "let x =", "unsafe { x() }"], 3));
    assert!(!explained(&["// SAFETY: it is", "x();", "unsafe { x() }"], 2));
    assert!(is_numbered("lock_03_x") && !is_numbered("locks_are_independent") && !is_numbered("lock_3_x"));
}
