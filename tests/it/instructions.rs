//! The guard of instruction counts: what it finds, and that it holds all scenarios there are.

#[path = "../../benches/scenarios/kinds.rs"]
#[expect(dead_code, reason = "here nothing is measured")]
mod kinds;
#[path = "../../benches/instructions/record.rs"]
mod record;

use std::fs;

use kinds::{Scenario, Told};
use record::{LESS, MORE, Record, Verdict, compared, table};

fn recorded() -> Record {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions/recorded.txt");
    let text = fs::read_to_string(path).expect("the record is there");
    Record::read(&text).expect("it is a record")
}

fn of(figures: &[(&str, u64)]) -> Record {
    let figures = figures.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    Record { of: vec!["machine: x86_64".to_owned()], figures }
}

/// What is said of a figure that was 10,000.
fn verdict(now: u64) -> Verdict {
    compared(&of(&[("hit", 10_000)]), &of(&[("hit", now)]))[0].verdict
}

#[test]
fn the_record_names_just_the_scenarios_that_exist() {
    let names: Vec<_> = recorded().figures.into_iter().map(|figure| figure.0).collect();
    let all = Told::ALL.into_iter().flat_map(Scenario::told);
    let wanted: Vec<_> = all.map(|scenario| scenario.to_string()).collect();
    assert_eq!(names, wanted, "`make instructions ARGS=--write` writes it anew");
}

#[test]
fn what_is_recorded_is_read_as_it_was_written() {
    let record = recorded();
    assert_eq!(Record::read(&record.written()), Ok(record));
    assert!(Record::read("routes/hit/off many\n").is_err());
}

#[test]
fn a_regression_beyond_the_tolerance_is_found_and_noise_is_not() {
    let tolerated = 10_000 + (MORE * 100.0) as u64;
    assert_eq!(verdict(tolerated), Verdict::Alike);
    assert_eq!(verdict(tolerated + 1), Verdict::Worse);
    let rows = compared(&of(&[("hit", 10_000)]), &of(&[("hit", 10_500)]));
    let text = table(&rows);
    assert!(text.contains("10,000    10,500  +5.00 %  WORSE"), "{text}");
}

#[test]
fn a_record_that_has_become_much_too_high_is_found() {
    let tolerated = 10_000 - (LESS * 100.0) as u64;
    assert_eq!(verdict(tolerated), Verdict::Alike);
    assert_eq!(verdict(tolerated - 1), Verdict::MuchBetter);
}

#[test]
fn a_scenario_of_one_side_alone_is_found() {
    let rows = compared(&of(&[("old", 1), ("both", 2)]), &of(&[("both", 2), ("new", 3)]));
    let verdicts: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.verdict)).collect();
    let wanted =
        [("both", Verdict::Alike), ("new", Verdict::NotRecorded), ("old", Verdict::NotMeasured)];
    assert_eq!(verdicts, wanted);
}
