//! Reading YAML and JSON.
//!
//! The events are granit-parser's, for JSON as well, so that both have places; JSON's stricter form is serde_json's to check.
//! First a plain tree of maps, lists and scalars is made of the events, aliases sharing what they stand for; then that
//! becomes nodes: a key an element, a list several elements of one name.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::document::format::Format;
use crate::document::node::Node;
use crate::document::text::{MAX_DEPTH, MAX_NODES, Places, first_forbidden, syntax, too_many};
use crate::document::yaml_nodes;
use crate::name::ns;

/// The most nodes that all aliases of a document may stand for.
const MAX_ALIASED: usize = 100_000;

/// One value of a document.
pub(super) struct Yaml {
    pub(super) line: u32,
    pub(super) column: u32,
    /// A type, as `namespace#local`.
    pub(super) tag: Option<Box<str>>,
    pub(super) content: Content,
    /// How many values there are in it, itself included, aliases at full size.
    size: usize,
}

pub(super) enum Content {
    Null,
    Scalar { text: Box<str>, literal: bool },
    List(Vec<Rc<Yaml>>),
    Map(Vec<(Key, Rc<Yaml>)>),
}

pub(super) struct Key {
    pub(super) text: Box<str>,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// Reads a file; returns the objects in it.
pub(super) fn read(text: &str, file: Option<&Arc<str>>, format: Format) -> Result<(Vec<Node>, Diagnostics), Diagnostic> {
    if format == Format::Json {
        check_json(text, file)?;
    }
    let mut documents = Vec::new();
    let mut builder = Builder { file, stack: Vec::new(), anchors: HashMap::new(), aliased: 0, nodes: 0, done: None };
    let mut options = granit_parser::options! {
        // Depth is ours to check, with a better message; keys of JSON have no limit of length.
        flow_nesting_limit: MAX_DEPTH + 8,
        block_nesting_limit: MAX_DEPTH + 8,
        simple_key_max_lookahead: 1 << 16,
    };
    options.set_emit_comments(false);
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            let marker = error.marker();
            let place = place(file, line(marker.line()), line(marker.col() + 1));
            match error.info() {
                // It looks ahead, and so may meet its bound before we meet ours.
                info if info.contains("recursion limit") => too_deep(&place),
                info => syntax(&place, info, "the document is not well-formed: correct it here"),
            }
        })?;
        match event {
            Event::DocumentEnd => {
                builder.anchors.clear();
                documents.extend(builder.done.take());
            }
            event => builder.event(event, span)?,
        }
    }
    yaml_nodes::objects(&documents, file)
}

fn too_deep(place: &Place) -> Diagnostic {
    syntax(place, format!("values are nested deeper than {MAX_DEPTH}"), "flatten the document")
}

fn line(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

pub(super) fn place(file: Option<&Arc<str>>, line: u32, column: u32) -> Place {
    Place { file: file.cloned(), line, column }
}

/// Whether a text is JSON, strictly: no comments, no trailing commas.
fn check_json(text: &str, file: Option<&Arc<str>>) -> Result<(), Diagnostic> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).map(|_| ()).map_err(|error| {
        // The column there counts bytes.
        let start = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
        let mut offset = (start + error.column().saturating_sub(1)).min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
        let after_comma = text[..offset].trim_end().ends_with(',') && text[offset..].starts_with([']', '}']);
        let (message, help) = if after_comma {
            ("a comma with nothing after it".to_owned(), "remove the comma")
        } else {
            (message, "the document is not JSON: correct it here")
        };
        syntax(&Places::new(text.as_bytes(), file.cloned()).at(offset), message, help)
    })
}

struct Builder<'f> {
    file: Option<&'f Arc<str>>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Rc<Yaml>>,
    aliased: usize,
    nodes: usize,
    done: Option<Rc<Yaml>>,
}

struct Frame {
    line: u32,
    column: u32,
    anchor: usize,
    tag: Option<Box<str>>,
    content: Unfinished,
}

enum Unfinished {
    List(Vec<Rc<Yaml>>),
    Map { entries: Vec<(Key, Rc<Yaml>)>, key: Option<Key>, keys: HashSet<Box<str>> },
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        let (at_line, at_column) = (line(span.start.line()), line(span.start.col() + 1));
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.check_characters(&text, at_line, at_column)?;
                let plain = style == ScalarStyle::Plain;
                let core = tag.as_ref().and_then(|tag| tag.core_suffix());
                let null = match core {
                    Some("null") => true,
                    Some(_) => false,
                    None => plain && tag.is_none() && matches!(&*text, "" | "~" | "null" | "Null" | "NULL"),
                };
                let literal = plain && core != Some("str") && is_literal(&text);
                let content = if null { Content::Null } else { Content::Scalar { text: text.into_owned().into(), literal } };
                let value = Yaml { line: at_line, column: at_column, tag: tag.and_then(|tag| type_of(&tag)), content, size: 1 };
                self.value(value, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(at_line, at_column, anchor, tag.as_deref(), Unfinished::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                let content = Unfinished::Map { entries: Vec::new(), key: None, keys: HashSet::new() };
                self.open(at_line, at_column, anchor, tag.as_deref(), content)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(frame) = self.stack.pop() else { return Ok(()) };
                let content = match frame.content {
                    Unfinished::List(items) => Content::List(items),
                    Unfinished::Map { entries, .. } => Content::Map(entries),
                };
                let size = match &content {
                    Content::List(items) => items.iter().fold(1, |sum: usize, item| sum.saturating_add(item.size)),
                    Content::Map(entries) => entries.iter().fold(1, |sum: usize, (_, value)| sum.saturating_add(value.size)),
                    _ => 1,
                };
                let value = Yaml { line: frame.line, column: frame.column, tag: frame.tag, content, size };
                self.value(value, frame.anchor)
            }
            Event::Alias(id) => {
                let Some(target) = self.anchors.get(&id).cloned() else {
                    return Err(self.error(
                        at_line,
                        at_column,
                        "an alias stands for something that it is in itself",
                        "write the value out",
                    ));
                };
                self.aliased = self.aliased.saturating_add(target.size);
                if self.aliased > MAX_ALIASED {
                    let message = format!("the aliases of this document stand for more than {MAX_ALIASED} values");
                    return Err(self.error(at_line, at_column, message, "write fewer aliases of large values"));
                }
                self.shared(target, at_line, at_column)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, line: u32, column: u32, anchor: usize, tag: Option<&Tag>, content: Unfinished) -> Result<(), Diagnostic> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(too_deep(&place(self.file, line, column)));
        }
        if let Some(Frame { content: Unfinished::Map { key: None, .. }, .. }) = self.stack.last() {
            return Err(self.error(line, column, "a key that is itself a list or a map", "keys are names"));
        }
        self.stack.push(Frame { line, column, anchor, tag: tag.and_then(type_of), content });
        Ok(())
    }

    fn value(&mut self, value: Yaml, anchor: usize) -> Result<(), Diagnostic> {
        let (line, column) = (value.line, value.column);
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(too_many(&place(self.file, line, column)));
        }
        let value = Rc::new(value);
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&value));
        }
        self.shared(value, line, column)
    }

    fn shared(&mut self, value: Rc<Yaml>, line: u32, column: u32) -> Result<(), Diagnostic> {
        let file = self.file;
        match self.stack.last_mut().map(|frame| &mut frame.content) {
            None => self.done = Some(value),
            Some(Unfinished::List(items)) => items.push(value),
            Some(Unfinished::Map { entries, key, keys }) => match key.take() {
                Some(key) => entries.push((key, value)),
                None => {
                    let text = match &value.content {
                        Content::Scalar { text, .. } => text.clone(),
                        Content::Null => "".into(),
                        _ => {
                            return Err(syntax(
                                &place(file, line, column),
                                "a key that is itself a list or a map",
                                "keys are names",
                            ));
                        }
                    };
                    let shown: String = text.chars().take(40).collect();
                    let wrong = match &*text {
                        "" => Some(("an empty key".to_owned(), "keys are names")),
                        "<<" => Some(("merged maps ('<<') are not supported".to_owned(), "write the entries out")),
                        _ if !keys.insert(text.clone()) => {
                            Some((format!("the key '{shown}' is given twice"), "leave one; several values are a list"))
                        }
                        _ => None,
                    };
                    if let Some((message, help)) = wrong {
                        return Err(syntax(&place(file, line, column), message, help));
                    }
                    *key = Some(Key { text, line, column });
                }
            },
        }
        Ok(())
    }

    fn check_characters(&self, text: &str, line: u32, column: u32) -> Result<(), Diagnostic> {
        match first_forbidden(text) {
            Some(_) => Err(self.error(
                line,
                column,
                "a text with a control character",
                "remove the character; definitions cannot hold it",
            )),
            None => Ok(()),
        }
    }

    fn error(&self, line: u32, column: u32, message: impl Into<String>, help: &str) -> Diagnostic {
        syntax(&place(self.file, line, column), message, help)
    }
}

/// Whether a plain scalar is a number or a truth value, as JSON has them.
pub(super) fn is_literal(text: &str) -> bool {
    if matches!(text, "true" | "false") {
        return true;
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit()) && serde_json::from_str::<serde_json::Number>(text).is_ok()
}

/// The type that a tag says: a whole URI, or one of YAML's own that the schema would not tell anyway.
fn type_of(tag: &Tag) -> Option<Box<str>> {
    let core = tag.handle() == "tag:yaml.org,2002:" || tag.suffix().starts_with("tag:yaml.org,2002:");
    if core {
        return tag.suffix().ends_with("binary").then(|| format!("{}#base64Binary", ns::XSD).into());
    }
    if tag.handle() == "!" {
        return (!tag.suffix().is_empty()).then(|| tag.suffix().into());
    }
    let uri = format!("{}{}", tag.handle(), tag.suffix());
    match (uri.contains('#'), uri.rsplit_once('/')) {
        (false, Some((namespace, local))) if !local.is_empty() => Some(format!("{namespace}#{local}").into()),
        _ if uri.is_empty() => None,
        _ => Some(uri.into()),
    }
}
