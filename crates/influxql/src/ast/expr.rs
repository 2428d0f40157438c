//! Expressions: fields, conditions and dimensions.

/// An expression. At most [`EXPR_HEIGHT_MAX`](crate::parse::EXPR_HEIGHT_MAX) levels high when it comes from the
/// parser, so that walking it by recursion is safe.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A field, tag or `time`: `v`, `"my tag"`, `v::float`.
    VarRef(VarRef),
    /// A function call: `mean(v)`, `time(5m)`.
    Call(Call),
    /// `lhs op rhs`.
    Binary(Box<Binary>),
    /// An expression in parentheses as written.
    Paren(Box<Expr>),
    /// `DISTINCT v`. Means the same as the call `distinct(v)`, which stays an [`Expr::Call`].
    Distinct(String),
    /// `*`, `*::field` or `*::tag`.
    Wildcard(Option<WildcardKind>),
    /// A constant.
    Literal(Literal),
}

/// A reference to a column by name.
#[derive(Clone, Debug, PartialEq)]
pub struct VarRef {
    /// The whole name; the dots of `a.b` are part of it.
    pub name: String,
    /// The cast after `::`.
    pub cast: Option<DataType>,
}

/// A function call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Lower case.
    pub name: String,
    /// In order; may be empty.
    pub args: Vec<Expr>,
}

/// A binary expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    pub op: BinaryOp,
    pub lhs: Expr,
    pub rhs: Expr,
}

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Or,
    And,
    Eq,
    NotEq,
    EqRegex,
    NotEqRegex,
    Lt,
    LtEq,
    Gt,
    GtEq,
    Add,
    Sub,
    BitOr,
    BitXor,
    Mul,
    Div,
    Mod,
    BitAnd,
}

/// What a wildcard is restricted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WildcardKind {
    Field,
    Tag,
}

/// The type after `::`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    Float,
    Integer,
    Unsigned,
    String,
    Boolean,
    /// `::field`: a field of whatever type.
    AnyField,
    Tag,
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Integer(i64),
    /// Above `i64::MAX`; smaller values are [`Literal::Integer`].
    Unsigned(u64),
    /// Finite.
    Number(f64),
    String(String),
    Boolean(bool),
    /// Nanoseconds.
    Duration(i64),
    /// Nanoseconds since the epoch. The parser never makes one (times are written as strings); `plan` does when
    /// it rewrites a condition. Prints as a string that denotes exactly this instant.
    Time(i64),
    /// Source text of a regular expression.
    Regex(String),
    /// No value. The parser never makes one; folding a constant expression can.
    Nil,
}

impl Expr {
    /// A column reference without a cast.
    pub fn var(name: impl Into<String>) -> Expr {
        Expr::VarRef(VarRef { name: name.into(), cast: None })
    }

    /// A call of `name`, which must be lower case.
    pub fn call(name: impl Into<String>, args: Vec<Expr>) -> Expr {
        Expr::Call(Call { name: name.into(), args })
    }

    /// `lhs op rhs`.
    pub fn binary(op: BinaryOp, lhs: Expr, rhs: Expr) -> Expr {
        Expr::Binary(Box::new(Binary { op, lhs, rhs }))
    }

    /// `lhs AND rhs`.
    pub fn and(lhs: Expr, rhs: Expr) -> Expr {
        Expr::binary(BinaryOp::And, lhs, rhs)
    }

    /// `(inner)`.
    pub fn paren(inner: Expr) -> Expr {
        Expr::Paren(Box::new(inner))
    }

    /// An integer constant.
    pub fn integer(value: i64) -> Expr {
        Expr::Literal(Literal::Integer(value))
    }

    /// A floating-point constant; `value` must be finite.
    pub fn number(value: f64) -> Expr {
        Expr::Literal(Literal::Number(value))
    }

    /// A string constant.
    pub fn string(value: impl Into<String>) -> Expr {
        Expr::Literal(Literal::String(value.into()))
    }

    /// This expression without the parentheses around it.
    pub fn without_parens(&self) -> &Expr {
        let mut expr = self;
        while let Expr::Paren(inner) = expr {
            expr = inner;
        }
        expr
    }
}

impl BinaryOp {
    /// From 1 (`OR`) to 5 (`*`); the larger binds tighter. All operators are left-associative.
    pub fn precedence(self) -> u8 {
        match self {
            BinaryOp::Or => 1,
            BinaryOp::And => 2,
            BinaryOp::Eq
            | BinaryOp::NotEq
            | BinaryOp::EqRegex
            | BinaryOp::NotEqRegex
            | BinaryOp::Lt
            | BinaryOp::LtEq
            | BinaryOp::Gt
            | BinaryOp::GtEq => 3,
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::BitOr | BinaryOp::BitXor => 4,
            BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::BitAnd => 5,
        }
    }

    /// `AND` or `OR`.
    pub fn is_logical(self) -> bool {
        matches!(self, BinaryOp::And | BinaryOp::Or)
    }

    /// `=`, `<`, `=~` and the like.
    pub fn is_comparison(self) -> bool {
        self.precedence() == 3
    }

    /// `=~` or `!~`.
    pub fn is_regex(self) -> bool {
        matches!(self, BinaryOp::EqRegex | BinaryOp::NotEqRegex)
    }

    /// `+ - * / % & | ^`.
    pub fn is_arithmetic(self) -> bool {
        self.precedence() >= 4
    }

    /// The operator as written: `AND`, `!=`, `+`.
    pub fn as_str(self) -> &'static str {
        match self {
            BinaryOp::Or => "OR",
            BinaryOp::And => "AND",
            BinaryOp::Eq => "=",
            BinaryOp::NotEq => "!=",
            BinaryOp::EqRegex => "=~",
            BinaryOp::NotEqRegex => "!~",
            BinaryOp::Lt => "<",
            BinaryOp::LtEq => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::GtEq => ">=",
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::BitOr => "|",
            BinaryOp::BitXor => "^",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::BitAnd => "&",
        }
    }
}

impl DataType {
    /// The word after `::`: `float`, `field`, `tag`.
    pub fn as_str(self) -> &'static str {
        match self {
            DataType::Float => "float",
            DataType::Integer => "integer",
            DataType::Unsigned => "unsigned",
            DataType::String => "string",
            DataType::Boolean => "boolean",
            DataType::AnyField => "field",
            DataType::Tag => "tag",
        }
    }
}
