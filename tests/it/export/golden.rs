//! Every document of three configurations, to the letter. Changed on purpose, they are written anew
//! with `INSTA_UPDATE=always cargo test --test it export::golden`, and read before they are kept.

use holdline::export::{Document, genesys, openapi, page, terraform};
use insta::assert_snapshot;

use super::{ALL, RICH_KEY, RICH_PASSWORD, RICH_SECRET, loaded, site};

/// Documents one after the other, each under its name.
fn together(documents: &[Document]) -> String {
    documents.iter().map(|Document { name, text }| format!("=== {name}\n{text}")).collect()
}

#[test]
fn openapi_is_what_was_reviewed() {
    for name in ALL {
        let loaded = loaded(name);
        let document = openapi::file(&loaded.catalog, site(&loaded));
        assert_snapshot!(format!("openapi_{name}"), document.text);
    }
}

#[test]
fn data_actions_are_what_was_reviewed() {
    for name in ALL {
        let loaded = loaded(name);
        let documents = genesys::files(&loaded.catalog, site(&loaded)).unwrap();
        assert_snapshot!(format!("genesys_{name}"), together(&documents));
    }
}

#[test]
fn terraform_is_what_was_reviewed() {
    for name in ALL {
        let loaded = loaded(name);
        let documents = terraform::files(&loaded.catalog, site(&loaded), name == "card").unwrap();
        assert_snapshot!(format!("terraform_{name}"), together(&documents));
    }
}

#[test]
fn the_page_is_what_was_reviewed() {
    let loaded = loaded("card");
    let document = openapi::document(&loaded.catalog, site(&loaded));
    assert_snapshot!("page_card", page::of(&document));
}

#[test]
fn no_document_shows_a_secret() {
    for name in ALL {
        let loaded = loaded(name);
        let (catalog, site) = (&loaded.catalog, site(&loaded));
        let mut documents = genesys::files(catalog, site).unwrap();
        documents.extend(terraform::files(catalog, site, true).unwrap());
        documents.push(openapi::file(catalog, site));
        for Document { name, text } in documents {
            for secret in
                ["not-to-be-shown", RICH_KEY, RICH_PASSWORD, RICH_SECRET, "a-key-for-signing"]
            {
                assert!(!text.contains(secret), "{name}");
            }
        }
    }
}
