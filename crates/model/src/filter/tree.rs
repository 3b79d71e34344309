//! Conditions as users write them: not yet checked against any schema.

use std::fmt;

use crate::diagnostic::Place;
use crate::document::Node;
use crate::filter::bound::Comparison;
use crate::filter::path::ItemPath;
use crate::name::QName;
use crate::oid::Oid;

/// A condition on an object.
///
/// Two filters are equal if they say the same in the same order; where they were written does not count.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Holds for every object.
    All,
    /// Holds for none.
    None,
    /// Says nothing: in a conjunction or disjunction it is as if it were not there.
    Undefined,
    /// Every part holds.
    And(Vec<Filter>),
    /// Some part holds.
    Or(Vec<Filter>),
    /// The part does not hold.
    Not(Box<Filter>),
    /// An item's value equals, is one of, or stands in an order to something.
    Value(ValueClause),
    /// An item's text contains another.
    Substring(SubstringClause),
    /// An item's text resembles another.
    Fuzzy(FuzzyClause),
    /// A reference means certain objects.
    Ref(RefClause),
    /// The object is contained in an object that meets a condition.
    OwnedBy(OwnerClause),
    /// The object is referred to by an object that meets a condition.
    ReferencedBy(OwnerClause),
    /// The object's place in the tree of organizations.
    Org(OrgClause),
    /// The object is one of these.
    InOid(InOidClause),
    /// The object's words contain all of these.
    FullText(FullTextClause),
    /// The object is of a type.
    Type(TypeClause),
    /// An item has a value, perhaps one that meets a condition.
    Exists(ExistsClause),
}

/// Where something was written. It never takes part in a comparison of what was written.
#[derive(Clone, Default)]
pub struct WrittenAt(pub Place);

/// A comparison of an item with something.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueClause {
    /// The item.
    pub path: ItemPath,
    /// How it is compared.
    pub operator: Operator,
    /// What it is compared with.
    pub operand: Operand,
    /// When two values count as the same; none is the item's own rule.
    pub matching: Option<QName>,
    /// Where the clause was written.
    pub place: WrittenAt,
}

/// How an item is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// Equals the value; with several values, any of them; with none, the item is absent.
    Equal,
    /// Equals any of the values.
    AnyIn,
    /// Stands in an order to the only value.
    Order(Comparison),
}

/// What an item is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// Values as written.
    Values(Vec<Literal>),
    /// Another item, or a variable's.
    Path(ItemPath),
    /// Something to be evaluated before the filter can be used.
    Expression(FilterExpression),
}

/// A value as it was written. It gets its type from the item it is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A text.
    String(Box<str>),
    /// A number, in the characters it was written with.
    Number(Box<str>),
    /// True or false.
    Boolean(bool),
    /// A name, such as that of an object class.
    QName(QName),
}

/// A value that is not known until something is evaluated.
#[derive(Clone, PartialEq)]
pub enum FilterExpression {
    /// A script.
    Script {
        /// Its language, where it is said.
        language: Option<Box<str>>,
        /// Its text.
        code: Box<str>,
    },
    /// A constant of the system's configuration.
    Constant(Box<str>),
    /// A place left open, with a name or without.
    Placeholder(Option<Box<str>>),
    /// An expression that only the documents can say.
    Element(Box<Node>),
}

/// A search for a text in an item's text.
#[derive(Clone, Debug, PartialEq)]
pub struct SubstringClause {
    /// The item.
    pub path: ItemPath,
    /// The text sought: a single value, or an expression.
    pub operand: Operand,
    /// It must be at the start.
    pub at_start: bool,
    /// It must be at the end.
    pub at_end: bool,
    /// When two texts count as the same; none is the item's own rule.
    pub matching: Option<QName>,
    /// Where the clause was written.
    pub place: WrittenAt,
}

/// A search for texts like another.
#[derive(Clone, Debug, PartialEq)]
pub struct FuzzyClause {
    /// The item.
    pub path: ItemPath,
    /// The text it is compared with: a single value, or an expression.
    pub operand: Operand,
    /// How likeness is measured, and how much is enough.
    pub method: FuzzyMethod,
    /// Whether the limit itself is enough.
    pub inclusive: bool,
    /// Where the clause was written.
    pub place: WrittenAt,
}

/// A measure of likeness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FuzzyMethod {
    /// At most so many characters inserted, deleted or replaced.
    Levenshtein(u32),
    /// At least this share of three-letter groups in common, from 0 to 1.
    Similarity(f64),
}

/// A condition on a reference.
#[derive(Clone, Debug, PartialEq)]
pub struct RefClause {
    /// The reference.
    pub path: ItemPath,
    /// What it is compared with, any of them.
    pub values: Vec<RefValue>,
    /// An expression in place of the values.
    pub expression: Option<FilterExpression>,
    /// What the object it means must meet.
    pub target: Option<Box<Filter>>,
    /// Where the clause was written.
    pub place: WrittenAt,
}

/// What a reference is compared with. An identity or a type that is not said is not compared; a relation that is not said is
/// the default one.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RefValue {
    /// The object it means.
    pub oid: Option<Oid>,
    /// The type of that object.
    pub target_type: Option<QName>,
    /// How the two are related.
    pub relation: Option<QName>,
}

/// A condition on the object that contains this one, or refers to it.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnerClause {
    /// The type of that object.
    pub owner_type: Option<QName>,
    /// The item of it that this object is in, or that refers to it.
    pub path: Option<ItemPath>,
    /// The relation of the reference; only where it is one.
    pub relation: Option<QName>,
    /// What that object must meet.
    pub filter: Option<Box<Filter>>,
    /// Where the clause was written.
    pub place: WrittenAt,
}

/// A condition on the place in the tree of organizations.
#[derive(Clone, Debug, PartialEq)]
pub struct OrgClause {
    /// What place.
    pub position: OrgPosition,
    /// Where the clause was written.
    pub place: WrittenAt,
}

/// A place in the tree of organizations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrgPosition {
    /// Nothing is above it.
    Root,
    /// Anywhere below this one.
    Subtree(Oid),
    /// Directly below this one.
    OneLevel(Oid),
    /// Anywhere above this one.
    Ancestors(Oid),
}

/// A condition on the object's identity.
#[derive(Clone, Debug, PartialEq)]
pub struct InOidClause {
    /// The identities that will do; none will if there are none.
    pub oids: Vec<Oid>,
    /// An expression in place of the identities.
    pub expression: Option<FilterExpression>,
    /// Whether the identity meant is that of the object around this one.
    pub of_owner: bool,
    /// Where the clause was written.
    pub place: WrittenAt,
}

/// A condition on the words of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct FullTextClause {
    /// The words.
    pub operand: Operand,
    /// Where the clause was written.
    pub place: WrittenAt,
}

/// A condition on the type of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeClause {
    /// The type.
    pub type_name: QName,
    /// Where the clause was written.
    pub place: WrittenAt,
}

/// A condition on the values of an item, each as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct ExistsClause {
    /// The item.
    pub path: ItemPath,
    /// What some value must meet; none: that there is one.
    pub filter: Option<Box<Filter>>,
    /// Where the clause was written.
    pub place: WrittenAt,
}

impl Filter {
    /// The item equals a text: for filters that the engine itself makes.
    pub fn equal(path: ItemPath, text: impl Into<Box<str>>) -> Self {
        Self::Value(ValueClause {
            path,
            operator: Operator::Equal,
            operand: Operand::Values(vec![Literal::String(text.into())]),
            matching: None,
            place: WrittenAt::default(),
        })
    }

    /// The item equals a name.
    #[must_use]
    pub fn equal_name(path: ItemPath, name: QName) -> Self {
        Self::Value(ValueClause {
            path,
            operator: Operator::Equal,
            operand: Operand::Values(vec![Literal::QName(name)]),
            matching: None,
            place: WrittenAt::default(),
        })
    }

    /// The reference means the object with this identity.
    #[must_use]
    pub fn refers_to(path: ItemPath, oid: Oid) -> Self {
        Self::Ref(RefClause {
            path,
            values: vec![RefValue { oid: Some(oid), ..RefValue::default() }],
            expression: None,
            target: None,
            place: WrittenAt::default(),
        })
    }

    /// Both conditions, first this one, without needless nesting: [`Filter::All`] and [`Filter::Undefined`] add nothing.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All | Self::Undefined, filter) | (filter, Self::All | Self::Undefined) => filter,
            (Self::And(mut parts), Self::And(more)) => {
                parts.extend(more);
                Self::And(parts)
            }
            (Self::And(mut parts), filter) => {
                parts.push(filter);
                Self::And(parts)
            }
            (filter, Self::And(mut parts)) => {
                parts.insert(0, filter);
                Self::And(parts)
            }
            (a, b) => Self::And(vec![a, b]),
        }
    }

    /// The opposite.
    #[must_use]
    pub fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Where it was written: the clause itself, or the first one in it.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        let place = match self {
            Self::All | Self::None | Self::Undefined => return None,
            Self::And(parts) | Self::Or(parts) => return parts.iter().find_map(Self::place),
            Self::Not(part) => return part.place(),
            Self::Value(clause) => &clause.place,
            Self::Substring(clause) => &clause.place,
            Self::Fuzzy(clause) => &clause.place,
            Self::Ref(clause) => &clause.place,
            Self::OwnedBy(clause) | Self::ReferencedBy(clause) => &clause.place,
            Self::Org(clause) => &clause.place,
            Self::InOid(clause) => &clause.place,
            Self::FullText(clause) => &clause.place,
            Self::Type(clause) => &clause.place,
            Self::Exists(clause) => &clause.place,
        };
        Some(&place.0)
    }

    /// The item that the clause is about; none for what is not about one item.
    #[must_use]
    pub fn path(&self) -> Option<&ItemPath> {
        match self {
            Self::Value(clause) => Some(&clause.path),
            Self::Substring(clause) => Some(&clause.path),
            Self::Fuzzy(clause) => Some(&clause.path),
            Self::Ref(clause) => Some(&clause.path),
            Self::Exists(clause) => Some(&clause.path),
            _ => None,
        }
    }
}

impl Literal {
    /// The characters of the value; a name in its URI form.
    #[must_use]
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        use std::borrow::Cow;
        match self {
            Self::String(text) | Self::Number(text) => Cow::Borrowed(text),
            Self::Boolean(true) => Cow::Borrowed("true"),
            Self::Boolean(false) => Cow::Borrowed("false"),
            Self::QName(name) => Cow::Owned(name.to_uri()),
        }
    }
}

impl From<&str> for Literal {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<i64> for Literal {
    fn from(number: i64) -> Self {
        Self::Number(number.to_string().into())
    }
}

impl PartialEq for WrittenAt {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for WrittenAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for FilterExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Script { language, code } => write!(f, "Script({language:?}, {code:?})"),
            Self::Constant(name) => write!(f, "Constant({name:?})"),
            Self::Placeholder(name) => write!(f, "Placeholder({name:?})"),
            Self::Element(node) => write!(f, "Element({})", node.name),
        }
    }
}
