//! From YAML to a tree.
//!
//! Built from the parser's events, so that what serde would swallow is seen: duplicate keys, a
//! second document, whether a scalar was quoted. Bounded before anything is read out of it.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use crate::config::{
    node::{Content, Key, Node, Place, Scalar, below},
    problem::Findings,
};

/// Bytes of a configuration.
pub(super) const MAX_BYTES: usize = 1024 * 1024;
/// Keys and values of a configuration, those that an alias repeats counted again.
const MAX_NODES: usize = 50_000;
/// Mappings and lists inside each other.
const MAX_DEPTH: usize = 64;

/// Reads `text`. `None` where there is no tree to go on with; the reasons are in `findings`.
pub(super) fn read(text: &str, findings: &Findings) -> Option<Node> {
    if text.len() > MAX_BYTES {
        findings.refuse(Place::FILE, "", "is larger than 1 MiB", "write a smaller file");
        return None;
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Err(Stop(place, what, instead)) = refuse_controls(text) {
        findings.refuse(place, "", what, instead);
        return None;
    }
    let mut tree = Tree::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        let taken = match next {
            Ok((event, span)) => tree.take(event, span),
            Err(error) => {
                let place = Place::from(*error.marker());
                Err(Stop(place, format!("is not YAML: {}", error.info()), hint(text, place)))
            }
        };
        if let Err(Stop(place, what, instead)) = taken {
            findings.refuse(place, "", what, instead);
            return None;
        }
    }
    let Some(mut root) = tree.root else {
        findings.refuse(Place::FILE, "", "is empty", "write at least one action");
        return None;
    };
    refuse_duplicates(&root, "", findings);
    refuse_merges(&mut root, "", findings);
    Some(root)
}

/// Refuses what no YAML may hold. The parser would take a NUL for the end of the file, and what
/// stands behind it would never be read.
fn refuse_controls(text: &str) -> Result<(), Stop> {
    let odd = |c: &char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}');
    let Some(at) = text.find(|c| odd(&c)) else {
        return Ok(());
    };
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let code = text[at..].chars().next().map_or(0, u32::from);
    let what = format!("is no text: there is a control character (U+{code:04X})");
    Err(Stop(Place { line, column }, what, "write a text file in YAML"))
}

/// The commonest reason: the braces of an expansion among those of a mapping.
fn hint(text: &str, place: Place) -> &'static str {
    let line = text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
    if text.trim_start().starts_with('<') {
        "this looks like a web page; write YAML"
    } else if line.contains("${") {
        "quote each ${...} that stands inside { } or [ ]"
    } else if line.contains('\t') {
        "indent with spaces: YAML takes no tabs there"
    } else {
        "look at the indentation, quotes and brackets up to here"
    }
}

/// Where, what, and what to do instead.
struct Stop(Place, String, &'static str);

/// A tree that grows with each event.
#[derive(Default)]
struct Tree {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Anchored>,
    nodes: usize,
    documents: usize,
}

struct Anchored {
    node: Node,
    size: usize,
    height: usize,
}

/// A mapping or list that has not ended.
struct Open {
    place: Place,
    anchor: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map(Vec<(Key, Node)>, Option<Key>),
}

impl Tree {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        let place = Place::from(span.start);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let what = "a second document begins here".to_owned();
                    return Err(Stop(place, what, "remove the `---` before it"));
                }
            }
            Event::Alias(anchor) => return self.repeat(anchor, place),
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = is_text(style, tag.as_deref(), place)?;
                self.spend(1, place)?;
                let scalar = Scalar::written(text, quoted);
                return self.put(Node { place, content: Content::Scalar(scalar) }, anchor);
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), place)?;
                return self.begin(place, anchor, Inside::List(Vec::new()));
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), place)?;
                return self.begin(place, anchor, Inside::Map(Vec::new(), None));
            }
            Event::SequenceEnd | Event::MappingEnd => return self.end(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn spend(&mut self, nodes: usize, place: Place) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            let what = format!("has more than {MAX_NODES} keys and values");
            return Err(Stop(place, what, "write fewer, and fewer aliases of large parts"));
        }
        Ok(())
    }

    fn begin(&mut self, place: Place, anchor: usize, inside: Inside) -> Result<(), Stop> {
        self.spend(1, place)?;
        self.open.push(Open { place, anchor, inside });
        too_deep(self.open.len(), place)
    }

    fn end(&mut self) -> Result<(), Stop> {
        let Some(Open { place, anchor, inside }) = self.open.pop() else {
            return Ok(());
        };
        let content = match inside {
            Inside::List(items) => Content::List(items),
            Inside::Map(entries, _) => Content::Map(entries),
        };
        self.put(Node { place, content }, anchor)
    }

    fn repeat(&mut self, anchor: usize, place: Place) -> Result<(), Stop> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            let what = "is an alias of something that contains it".to_owned();
            return Err(Stop(place, what, "write the value itself"));
        };
        let (size, height) = (anchored.size, anchored.height);
        // Counted before it is copied: an alias of aliases grows without bound.
        self.spend(size, place)?;
        too_deep(self.open.len() + height, place)?;
        let node = self.anchors.get(&anchor).map(|anchored| anchored.node.clone());
        node.map_or(Ok(()), |node| self.put(node, 0))
    }

    fn put(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        if anchor > 0 {
            let (size, height) = measure(&node);
            self.spend(size, node.place)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), size, height });
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { inside: Inside::List(items), .. }) => items.push(node),
            Some(Open { inside: Inside::Map(entries, key), .. }) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => *key = Some(as_key(node)?),
            },
        }
        Ok(())
    }
}

fn as_key(node: Node) -> Result<Key, Stop> {
    let place = node.place;
    match node.content {
        Content::Scalar(scalar) => Ok(Key { text: scalar.text, place }),
        Content::List(_) | Content::Map(_) | Content::Broken => {
            let what = "is a mapping or a list where a key belongs".to_owned();
            Err(Stop(place, what, "write a name; quote a value that begins with { or ["))
        }
    }
}

/// Nodes in it, itself included, and how deep it is.
fn measure(node: &Node) -> (usize, usize) {
    let inside: Vec<&Node> = match &node.content {
        Content::Scalar(_) | Content::Broken => return (1, 0),
        Content::List(items) => items.iter().collect(),
        Content::Map(entries) => entries.iter().map(|(_, node)| node).collect(),
    };
    let add = |(size, height): (usize, usize), node| {
        let (more, deep) = measure(node);
        (size + more, height.max(deep + 1))
    };
    inside.into_iter().fold((1, 1), add)
}

fn too_deep(depth: usize, place: Place) -> Result<(), Stop> {
    if depth > MAX_DEPTH {
        let what = format!("is more than {MAX_DEPTH} mappings and lists deep");
        return Err(Stop(place, what, "write it flatter"));
    }
    Ok(())
}

/// Whether a scalar is a text, whatever it looks like.
fn is_text(style: ScalarStyle, tag: Option<&Tag>, place: Place) -> Result<bool, Stop> {
    if tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str") {
        return Ok(true);
    }
    refuse_tag(tag, place)?;
    Ok(style != ScalarStyle::Plain)
}

fn refuse_tag(tag: Option<&Tag>, place: Place) -> Result<(), Stop> {
    match tag {
        None => Ok(()),
        Some(_) => {
            Err(Stop(place, "has a YAML tag".to_owned(), "remove the word that begins with !"))
        }
    }
}

fn refuse_duplicates(node: &Node, path: &str, findings: &Findings) {
    match &node.content {
        Content::Scalar(_) | Content::Broken => {}
        Content::List(items) => {
            for (index, item) in items.iter().enumerate() {
                refuse_duplicates(item, &format!("{path}[{index}]"), findings);
            }
        }
        Content::Map(entries) => {
            let mut seen = BTreeMap::new();
            for (key, value) in entries {
                let inside = below(path, &key.text);
                if let Some(first) = seen.insert(&key.text, key.place.line) {
                    let what = format!("is written twice, first in line {first}");
                    findings.refuse(key.place, &inside, what, "keep one");
                }
                refuse_duplicates(value, &inside, findings);
            }
        }
    }
}

/// Refuses `<<`, which YAML 1.2 does not have, and puts in what it would have brought: so nothing
/// that stands there is missed as well.
fn refuse_merges(node: &mut Node, path: &str, findings: &Findings) {
    match &mut node.content {
        Content::Scalar(_) | Content::Broken => {}
        Content::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                refuse_merges(item, &format!("{path}[{index}]"), findings);
            }
        }
        Content::Map(entries) => {
            let merged: Vec<_> = entries.extract_if(.., |(key, _)| key.text == "<<").collect();
            for (key, value) in merged {
                let what = "merges another mapping, which YAML 1.2 does not know";
                let instead = "write the keys themselves, or an alias of one whole value";
                findings.refuse(key.place, &below(path, &key.text), what, instead);
                let Content::Map(brought) = value.content else { continue };
                let missing =
                    |(key, _): &(Key, Node)| entries.iter().all(|(own, _)| own.text != key.text);
                let brought: Vec<_> = brought.into_iter().filter(missing).collect();
                entries.extend(brought);
            }
            for (key, value) in entries {
                refuse_merges(value, &below(path, &key.text), findings);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Vec<String> {
        let findings = Findings::of("f");
        let read = read(text, &findings);
        match findings.conclude(read) {
            Ok(_) => Vec::new(),
            Err(report) => report.problems().iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn what_is_no_single_tree_is_one_clear_sentence() {
        let not_yaml = refused("a: [1, 2\nb: 3\n");
        assert_eq!(not_yaml.len(), 1);
        assert!(
            not_yaml[0].starts_with("f:2:") && not_yaml[0].contains("is not YAML"),
            "{not_yaml:?}"
        );
        assert_eq!(refused(""), ["f: is empty; write at least one action"]);
        assert_eq!(refused("# nothing\n"), ["f: is empty; write at least one action"]);
        assert_eq!(
            refused("a: 1\n---\nb: 2\n"),
            ["f:2:1: a second document begins here; remove the `---` before it"]
        );
        assert_eq!(
            refused(&"#".repeat(MAX_BYTES + 1)),
            ["f: is larger than 1 MiB; write a smaller file"]
        );
        assert_eq!(
            refused("a: {[1]: 2}"),
            ["f:1:5: is a mapping or a list where a key belongs; \
              write a name; quote a value that begins with { or ["]
        );
        assert_eq!(
            refused("a: !!int 3"),
            ["f:1:4: has a YAML tag; remove the word that begins with !"]
        );
    }

    #[test]
    fn every_duplicate_key_is_named() {
        assert_eq!(
            refused("a: 1\nb: {c: 1, c: 2}\na: 3\n"),
            [
                "f:2:11 b.c: is written twice, first in line 2; keep one",
                "f:3:1 a: is written twice, first in line 1; keep one"
            ]
        );
    }

    #[test]
    fn size_and_depth_are_bounded_before_anything_grows() {
        let many = format!("a: [{}]", "1,".repeat(MAX_NODES));
        assert!(refused(&many)[0].contains("more than 50000 keys and values"));
        let deep = format!("{}{}", "[".repeat(80), "]".repeat(80));
        assert!(refused(&deep)[0].contains("more than 64 mappings and lists deep"));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let line = format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "));
            bomb.push_str(&line);
        }
        assert!(refused(&bomb)[0].contains("more than 50000 keys and values"));
        assert!(refused("a: &a [*a]")[0].contains("alias of something that contains it"));
    }

    #[test]
    fn an_alias_repeats_its_anchor_at_the_place_where_that_is_written() {
        let findings = Findings::of("f");
        let root = read("a: &x {k: v}\nb: *x\n", &findings).unwrap();
        let Content::Map(entries) = &root.content else { panic!() };
        let Content::Map(inner) = &entries[1].1.content else { panic!() };
        assert_eq!((inner[0].0.place.line, inner[0].0.place.column), (1, 8));
        assert_eq!((entries[1].0.place.line, entries[1].0.place.column), (2, 1));
    }
}
