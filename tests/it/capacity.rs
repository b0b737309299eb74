//! The page of capacity: its sums follow from its figures.

#[path = "../../benches/capacity/figures.rs"]
#[expect(dead_code, reason = "here nothing is measured")]
mod figures;
#[path = "../../benches/capacity/sums.rs"]
mod sums;

use std::fs;

use figures::Figures;

#[test]
fn the_page_holds_every_figure_and_the_sums_that_follow_from_them() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/CAPACITY.md");
    let page = fs::read_to_string(page).unwrap();
    let figures = Figures::of(&page);
    assert!(figures.is_whole(), "a figure is missing; `make capacity ARGS=--write` writes them");
    let parts = [figures.table(), sums::contact_centre(&figures), sums::internet(&figures)];
    for part in parts {
        assert!(page.contains(&part), "`make capacity ARGS=--write` writes this:\n{part}");
    }
}
