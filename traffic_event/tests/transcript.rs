//! The laws of the event programs' transcripts: what rests on a pause at time scale 1, the rest at any.
//!
//! What an event orders: the light prints before it changes the event, and a car prints `through` after it
//! found the event set. So a green line comes before each car; but a car that was released may speak up only
//! when the light is red again. And `waits` says what a car saw, not what is so when it says it.

use shared::demo::laws;
use shared::demo::transcript::{Started, Transcript, repeat, run};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

const TRAFFIC: &str = env!("CARGO_BIN_EXE_traffic_event");
const FLAGS: &str = env!("CARGO_BIN_EXE_event_flags");
const COPY: &str = env!("CARGO_BIN_EXE_copy_file");
const RED: &str = " red light ";
const GREEN: &str = " green light ";

/// Red and green in turn, red first; every vehicle through once; a car not before a green; `waits` at most
/// once, before the car is through, and then a green line after the last red one that it can have seen.
#[track_caller]
fn lawful_traffic(transcript: &Transcript, vehicles: usize) -> Vec<Vehicle> {
    assert_eq!((transcript.status, transcript.complaints()), (0, vec![]), "{transcript:#?}");
    let mut seen: Vec<_> = (0..vehicles).map(|_| Vehicle::default()).collect();
    let (mut lights, mut greens) = (0, 0);
    for line in &transcript.lines {
        let words: Vec<_> = line.split(' ').collect();
        let number = |id: &str| id.parse::<usize>().unwrap_or_else(|_| panic!("{line:?}"));
        match words[..] {
            ["", "red" | "green", "light", ""] => {
                assert_eq!(*line, if lights % 2 == 0 { RED } else { GREEN }, "{transcript:#?}");
                lights += 1;
                greens += usize::from(line == GREEN);
            }
            ["car", id, "waits"] => {
                let car = &mut seen[number(id)];
                assert!(!car.waits && !car.through, "{line:?} in {transcript:#?}");
                car.waits = true;
            }
            ["car", id, "through"] => {
                let car = &mut seen[number(id)];
                assert!(!car.through && greens > 0, "{line:?} in {transcript:#?}");
                car.through = true;
                car.at_green = lights % 2 == 0;
            }
            ["police", "car", id, "through"] => {
                let car = &mut seen[number(id)];
                assert!(!car.through && !car.waits, "{line:?} in {transcript:#?}");
                (car.through, car.police) = (true, true);
            }
            _ => panic!("{line:?} in {transcript:#?}"),
        }
    }
    assert!(lights > 0 && seen.iter().all(|vehicle| vehicle.through), "{transcript:#?}");
    seen
}

#[derive(Debug, Default)]
struct Vehicle {
    waits: bool,
    through: bool,
    police: bool,
    at_green: bool,
}

#[test]
fn every_vehicle_is_through_and_no_car_before_green() {
    for scale in ["0.01", "0"] {
        repeat(|| run(TRAFFIC, &["--time-scale", scale]), |transcript| _ = lawful_traffic(&transcript, 20));
        let only_cars = ["--time-scale", scale, "--only-cars", "--vehicles", "40"];
        repeat(
            || run(TRAFFIC, &only_cars),
            |transcript| {
                let cars = lawful_traffic(&transcript, 40);
                assert!(cars.iter().all(|car| !car.police), "{transcript:#?}");
            },
        );
    }
}

/// This rests on pauses: the light does not change while a car is about to speak.
#[test]
fn with_pauses_no_car_is_through_at_red_and_the_police_may_be() {
    let arguments = ["--time-scale", "0.2", "--seed", "3"];
    repeat(
        || run(TRAFFIC, &arguments),
        |transcript| {
            let vehicles = lawful_traffic(&transcript, 20);
            let (police, cars): (Vec<_>, Vec<_>) = vehicles.into_iter().partition(|vehicle| vehicle.police);
            assert!(cars.iter().all(|car| car.at_green), "{transcript:#?}");
            assert!(cars.iter().any(|car| car.waits) && police.len() > 3, "{transcript:#?}");
        },
    );
}

#[test]
fn a_seed_repeats_who_comes() {
    let police = |seed| {
        let transcript = run(TRAFFIC, &["--time-scale", "0", "--seed", seed]);
        lawful_traffic(&transcript, 20).iter().map(|vehicle| vehicle.police).collect::<Vec<_>>()
    };
    assert_eq!(police("7"), police("7"));
    assert_ne!(police("7"), police("8"));
}

#[test]
fn with_forever_the_light_goes_on_until_ctrl_c() {
    for to_all in [true, false] {
        let arguments = ["--forever", "--time-scale", "0.01", "--vehicles", "2", "--seed", "1"];
        let mut started = Started::new(TRAFFIC, &arguments);
        let mut lines = BufReader::new(started.take_stdout()).lines().map(|line| line.expect("text"));
        let mut through = 0;
        while through < 2 {
            through += usize::from(lines.next().expect("a line").ends_with(" through"));
        }
        // The traffic is over, and the light goes on.
        let lights: Vec<_> = lines.by_ref().take(12).collect();
        assert!(lights.chunks(2).all(|two| two == [RED, GREEN] || two == [GREEN, RED]), "{lights:?}");
        laws::ends_when_interrupted(started, to_all);
    }
}

#[test]
fn the_lights_are_coloured_where_colours_are_wanted() {
    let coloured = run(TRAFFIC, &["--time-scale", "0", "--color", "always"]).expect_success();
    assert_eq!(coloured.lines.iter().filter(|line| line.contains("light")).count(), {
        coloured.count("\x1b[1;31m red light \x1b[0m") + coloured.count("\x1b[1;32m green light \x1b[0m")
    });
    assert!(coloured.lines.iter().all(|line| line.contains("light") || !line.contains('\x1b')));
}

#[test]
fn a_time_out_leaves_the_flag_as_it_was() {
    for (scale, least) in [("0.1", 1.0), ("0.01", 0.1), ("0", 0.0)] {
        repeat(
            || run(FLAGS, &["--time-scale", scale]),
            |transcript| {
                let transcript = transcript.expect_success();
                assert_eq!(transcript.lines, ["false", "true", "false"], "{transcript:#?}");
                assert_eq!(transcript.errors, "");
                assert!(transcript.took.as_secs_f64() >= least, "{transcript:#?}");
            },
        );
    }
}

const P1: [&str; 2] = ["prepare to operate critical resources", "start operation of critical resources true"];
const MAIN: [&str; 2] =
    ["The main process is operating critical resources", "The main process has finished operation"];
const P2: &str = "also want to operate critical resources";
const P2_GIVES_UP: &str = "It's not going to wait";
const P2_STARTS: &str = "also started to operate critical resources";

/// Each one's lines in their order, and nobody starts before main has begun.
#[track_caller]
fn a_lawful_copy(transcript: &Transcript) {
    assert_eq!((transcript.status, transcript.complaints()), (0, vec![]), "{transcript:#?}");
    assert_eq!(transcript.lines.len(), 6, "{transcript:#?}");
    let place = |line| transcript.position(line);
    assert!(place(P1[0]) < place(P1[1]) && place(MAIN[0]) < place(MAIN[1]), "{transcript:#?}");
    assert!(place(MAIN[0]) < place(P1[1]), "{transcript:#?}");
    let gave_up = transcript.count(P2_GIVES_UP) == 1;
    assert!(place(P2) < place(if gave_up { P2_GIVES_UP } else { P2_STARTS }), "{transcript:#?}");
    assert!(gave_up || place(MAIN[0]) < place(P2_STARTS), "{transcript:#?}");
}

fn listing(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<_> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// What `copy_file` does with a source of these bytes, in a folder of its own; and what lies in there then.
#[track_caller]
fn copied(picture: &[u8], scale: &str) -> (Transcript, Vec<String>) {
    let (outside, folder) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let source = outside.path().join("a picture");
    fs::write(&source, picture).expect("written");
    let transcript = run(COPY, &[plain(&source), "--into", plain(folder.path()), "--time-scale", scale]);
    a_lawful_copy(&transcript);
    for name in listing(folder.path()) {
        assert!(fs::read(folder.path().join(&name)).expect("readable") == picture, "{name}: {transcript:#?}");
    }
    assert_eq!(transcript.errors, "");
    (transcript, listing(folder.path()))
}

fn plain(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[test]
fn the_one_who_waits_has_the_picture_and_the_one_who_does_not_has_none() {
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    repeat(
        || {
            let (transcript, names) = copied(&big, "1");
            assert_eq!(names, ["1.jpg", "file.jpg"]);
            // He gave up before main had finished, and so before the other one could start.
            let gave_up = transcript.position(P2_GIVES_UP);
            assert!(gave_up < transcript.position(MAIN[1]) && gave_up < transcript.position(P1[1]));
            transcript
        },
        |transcript| assert!((3.0..4.5).contains(&transcript.took.as_secs_f64()), "{transcript:#?}"),
    );
}

/// Below scale 1 the second one may be patient enough. Then he has it, whole.
#[test]
fn whoever_starts_has_the_whole_picture_at_any_speed() {
    for scale in ["0.01", "0"] {
        for picture in [&b""[..], &[0xff; 100_000]] {
            repeat(
                || {
                    let (transcript, names) = copied(picture, scale);
                    let both = transcript.count(P2_STARTS) == 1;
                    assert_eq!(
                        names,
                        ["1.jpg", "2.jpg", "file.jpg"]
                            .into_iter()
                            .filter(|name| both || *name != "2.jpg")
                            .collect::<Vec<_>>()
                    );
                    transcript
                },
                drop,
            );
        }
    }
}

#[test]
fn without_a_source_a_picture_is_made_in_a_private_folder_which_is_named_and_kept() {
    let all = tempfile::tempdir().expect("a folder");
    let arguments = ["--time-scale", "0.1"];
    let transcript = Started::with_env(COPY, &arguments, &[("TMPDIR", plain(all.path()))]).finish();
    a_lawful_copy(&transcript);
    let folder = transcript.errors.trim().strip_prefix("pictures in ").expect("a hint");
    assert_eq!(all.path().join(&listing(all.path())[0]), Path::new(folder));
    let read = |name| fs::read(Path::new(folder).join(name)).expect("kept");
    assert!(read("1.jpg") == read("file.jpg") && read("1.jpg").starts_with(&[0xff, 0xd8, 0xff]));
    let rights = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(folder).expect("there").permissions());
    assert_eq!(rights & 0o777, 0o700);
}

#[test]
fn a_source_that_would_be_overwritten_is_refused_under_any_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("file.jpg"), "mine").expect("written");
    fs::hard_link(at("file.jpg"), at("hard")).expect("linked");
    symlink("file.jpg", at("soft")).expect("linked");
    symlink("1.jpg", at("other")).expect("linked");
    fs::write(at("1.jpg"), "mine").expect("written");
    for name in ["file.jpg", "./file.jpg", "hard", "soft", "1.jpg", "other"] {
        let refused = run(COPY, &[plain(&at(name)), "--into", plain(folder.path())]).expect_failure(2);
        assert!(refused.errors.contains(".jpg, which is to be written"), "{refused:#?}");
        assert_eq!(refused.lines, [""; 0]);
    }
    assert_eq!(
        (fs::read(at("file.jpg")).expect("there"), fs::read(at("1.jpg")).expect("there")),
        (b"mine".to_vec(), b"mine".to_vec())
    );
}

#[test]
fn what_is_no_picture_or_no_folder_is_one_clear_line_before_anybody_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "a picture").expect("written");
    let nowhere = folder.path().join("no").join("picture");
    for (source, why) in
        [(&*nowhere, "No such file"), (folder.path(), "not a file"), (Path::new("/dev/zero"), "not a file")]
    {
        let refused = run(COPY, &[plain(source), "--into", plain(folder.path())]).expect_failure(1);
        assert!(refused.errors.contains(plain(source)) && refused.errors.contains(why), "{refused:#?}");
        assert_eq!(refused.lines, [""; 0]);
    }
    for (into, why) in [(&*nowhere, "No such file"), (&*file, "not a folder")] {
        let refused = run(COPY, &[plain(&file), "--into", plain(into)]).expect_failure(1);
        assert!(refused.errors.contains(plain(into)) && refused.errors.contains(why), "{refused:#?}");
        assert_eq!(refused.lines, [""; 0]);
    }
}

/// Main's copy, or the child's, cannot be written: in either case the program fails, and nobody waits on.
#[test]
fn a_copy_that_cannot_be_made_is_one_clear_line_and_nobody_is_left_waiting() {
    for name in ["file.jpg", "1.jpg"] {
        let folder = tempfile::tempdir().expect("a folder");
        let in_the_way = folder.path().join(name);
        fs::create_dir(&in_the_way).expect("made");
        let failed = run(COPY, &["--into", plain(folder.path()), "--time-scale", "0.1"]).expect_failure(1);
        assert!(failed.errors.contains(plain(&in_the_way)), "{failed:#?}");
        assert!(failed.errors.contains("cannot write"), "{failed:#?}");
    }
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_starts() {
    for program in [TRAFFIC, FLAGS, COPY] {
        laws::refuses_nonsense(program);
    }
    laws::refuses(TRAFFIC, "--vehicles", &["0", "-1", "many", "1.5", "100000"]);
    laws::refuses(TRAFFIC, "--color", &["blue"]);
    laws::refuses(TRAFFIC, "--seed", &["-1", "many"]);
    for program in [FLAGS, COPY] {
        laws::refuses(program, "--seed", &["1"]); // nothing is drawn here
    }
}

#[test]
fn a_refused_fork_is_one_clear_line_and_nobody_is_left_waiting() {
    let folder = tempfile::tempdir().expect("a folder");
    laws::tells_of_a_refused_fork(TRAFFIC, "--time-scale 0.01 --seed 1");
    laws::tells_of_a_refused_fork(COPY, &format!("--time-scale 0.01 --into {}", plain(folder.path())));
}

#[test]
fn a_reader_who_closes_the_pipe_ends_the_program_quietly() {
    let folder = tempfile::tempdir().expect("a folder");
    laws::ends_quietly_without_reader(TRAFFIC, &["--time-scale", "0.05"]);
    laws::ends_quietly_without_reader(TRAFFIC, &["--forever", "--time-scale", "0.05"]);
    laws::ends_quietly_without_reader(FLAGS, &["--time-scale", "0.05"]);
    laws::ends_quietly_without_reader(COPY, &["--time-scale", "0.05", "--into", plain(folder.path())]);
}

#[test]
fn a_full_disk_is_one_clear_line_and_nobody_is_left_waiting() {
    let folder = tempfile::tempdir().expect("a folder");
    laws::tells_of_a_full_disk(TRAFFIC, "--time-scale 0.01 --seed 1");
    laws::tells_of_a_full_disk(FLAGS, "--time-scale 0.01");
    laws::tells_of_a_full_disk(COPY, &format!("--time-scale 0.01 --into {}", plain(folder.path())));
}

#[test]
fn ctrl_c_ends_everybody_and_removes_the_private_folder() {
    for program in [TRAFFIC, FLAGS, COPY] {
        laws::ends_at_ctrl_c(program, &["--time-scale", "10"]);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let within = Duration::from_millis(20);
    laws::ends_at_ctrl_c_at_any_moment(TRAFFIC, &["--time-scale", "0.1"], 10 * within);
    laws::ends_at_ctrl_c_at_any_moment(FLAGS, &[], within);
    let arguments = ["--time-scale", "0.005", "--into", plain(folder.path())];
    laws::ends_at_ctrl_c_at_any_moment(COPY, &arguments, within);
}
