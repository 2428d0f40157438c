//! Expressions whose names are resolved and whose types are known.
//!
//! The same form serves the condition below the cut (inputs: the columns of the shard plan) and the output columns
//! above it (inputs: see `finish_plan`). Every conversion is written out as [`Node::Cast`], so that an operator works
//! on operands of one type and an evaluator needs one kernel for each operator and type.
//!
//! Null: every operator and function of a null is null, except `And` and `Or`, which take null for false and are never
//! null. A result that is no finite number stays what it is; it becomes null only in the answer.

use model::{FieldType, FieldValue, Pattern, TagTest};

/// Most levels of an expression in a plan. Somewhat more than the parser allows, because conversions and tests of tags
/// add levels; few enough for recursion on the stack of a thread.
pub const EXPR_HEIGHT_MAX: usize = 600;

/// A typed expression. Built by the functions below, which keep the promises of [`Node`].
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    node: Node,
    value_type: Option<FieldType>,
    height: usize,
}

/// One step of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// No value, of no type. Only ever a whole expression, never an operand.
    Null,
    /// A constant.
    Literal(FieldValue),
    /// An input of the row, by index.
    Input(usize),
    /// Whether the series of the row passes a test; the same for all its rows. A missing tag tests as the empty value.
    TagTest {
        /// Tag key, raw.
        key: Vec<u8>,
        /// What its value must pass.
        test: TagTest,
    },
    /// A number as another numeric type: doubles to integers by truncation, integers to each other by wrapping.
    Cast(Box<Expr>),
    /// Both operands have the type that [`Operator`] asks for.
    Binary {
        /// What is done.
        operator: Operator,
        /// Left operand.
        lhs: Box<Expr>,
        /// Right operand.
        rhs: Box<Expr>,
    },
    /// Whether a pattern is found in a string.
    Match {
        /// Whether it must not be.
        negated: bool,
        /// The pattern.
        pattern: Pattern,
        /// The string.
        value: Box<Expr>,
    },
    /// A function of numbers.
    Math {
        /// Which.
        function: MathFunction,
        /// As many as it takes. [`MathFunction::keeps_type`]: any numeric type; others: doubles.
        args: Vec<Expr>,
    },
}

/// Binary operators. Unless said otherwise both operands have the same type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Operator {
    /// Of booleans. Null is false.
    And = 1,
    /// Of booleans. Null is false.
    Or = 2,
    /// Of any type; also of an integer and an unsigned integer, which compare by value. Gives a boolean, as the next five.
    Eq = 3,
    /// As `Eq`.
    NotEq = 4,
    /// Of numbers; also of an integer and an unsigned integer, which compare by value.
    Lt = 5,
    /// As `Lt`.
    LtEq = 6,
    /// As `Lt`.
    Gt = 7,
    /// As `Lt`.
    GtEq = 8,
    /// Of numbers; integers wrap. Gives the type of the operands, as all that follow.
    Add = 9,
    /// As `Add`.
    Sub = 10,
    /// As `Add`.
    Mul = 11,
    /// Of numbers; integers truncate and wrap. Anything by zero is zero.
    Div = 12,
    /// Of numbers; the sign is that of the left operand. Of integers, anything by zero is zero; of doubles, not a number.
    Mod = 13,
    /// Of integers, unsigned integers or booleans.
    BitAnd = 14,
    /// As `BitAnd`.
    BitOr = 15,
    /// As `BitAnd`.
    BitXor = 16,
}

/// Functions of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MathFunction {
    /// Keeps the type; the least integer stays as it is.
    Abs = 1,
    /// Keeps the type.
    Floor = 2,
    /// Keeps the type.
    Ceil = 3,
    /// To the nearest, halves away from zero. Keeps the type.
    Round = 4,
    /// Sine.
    Sin = 5,
    /// Cosine.
    Cos = 6,
    /// Tangent.
    Tan = 7,
    /// Inverse sine.
    Asin = 8,
    /// Inverse cosine.
    Acos = 9,
    /// Inverse tangent.
    Atan = 10,
    /// `atan2(y, x)`
    Atan2 = 11,
    /// Power of e.
    Exp = 12,
    /// Natural logarithm.
    Ln = 13,
    /// Logarithm of base 2.
    Log2 = 14,
    /// Logarithm of base 10.
    Log10 = 15,
    /// `log(x, base)`: `ln x / ln base`.
    Log = 16,
    /// `pow(x, y)`
    Pow = 17,
    /// Square root.
    Sqrt = 18,
}

impl Expr {
    /// What it is.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The type of its values; `None` when it is always null.
    pub fn value_type(&self) -> Option<FieldType> {
        self.value_type
    }

    /// Always null.
    pub fn null() -> Expr {
        Expr { node: Node::Null, value_type: None, height: 1 }
    }

    /// A constant.
    pub fn literal(value: FieldValue) -> Expr {
        let value_type = Some(value.field_type());
        Expr { node: Node::Literal(value), value_type, height: 1 }
    }

    /// An input of a type.
    pub fn input(index: usize, value_type: FieldType) -> Expr {
        Expr { node: Node::Input(index), value_type: Some(value_type), height: 1 }
    }

    /// A test of a tag of the series.
    pub fn tag_test(key: Vec<u8>, test: TagTest) -> Expr {
        Expr { node: Node::TagTest { key, test }, value_type: Some(FieldType::Boolean), height: 1 }
    }

    /// `value` as another numeric type. `None` when either type is not numeric.
    pub fn cast(value: Expr, to: FieldType) -> Option<Expr> {
        if value.value_type == Some(to) && to.is_numeric() {
            return Some(value);
        }
        if let Node::Literal(constant) = &value.node {
            return cast_constant(constant, to).map(Expr::literal);
        }
        let castable = to.is_numeric() && value.value_type.is_some_and(FieldType::is_numeric);
        let height = value.height + 1;
        castable.then(|| Expr { node: Node::Cast(Box::new(value)), value_type: Some(to), height })
    }

    /// `lhs operator rhs`. `None` when the operator does not take operands of these types. Null if one of them is null,
    /// but for `And` and `Or`.
    pub fn binary(operator: Operator, lhs: Expr, rhs: Expr) -> Option<Expr> {
        let value_type = operator.result_type(lhs.value_type, rhs.value_type)?;
        if value_type.is_none() {
            return Some(Expr::null());
        }
        // Only AND and OR get here with a null, which is false to them.
        let present = |side: Expr| match side.node {
            Node::Null => Expr::literal(FieldValue::Boolean(false)),
            _ => side,
        };
        let (lhs, rhs) = (present(lhs), present(rhs));
        let height = lhs.height.max(rhs.height) + 1;
        Some(Expr { node: Node::Binary { operator, lhs: Box::new(lhs), rhs: Box::new(rhs) }, value_type, height })
    }

    /// Whether `pattern` is found in `value`. `None` when that is no string.
    pub fn matches(value: Expr, pattern: Pattern, negated: bool) -> Option<Expr> {
        if value.value_type != Some(FieldType::String) {
            return None;
        }
        let height = value.height + 1;
        let node = Node::Match { negated, pattern, value: Box::new(value) };
        Some(Expr { node, value_type: Some(FieldType::Boolean), height })
    }

    /// A function of numbers. `None` when the count or types of the arguments are wrong. Null if one of them is null.
    pub fn math(function: MathFunction, args: Vec<Expr>) -> Option<Expr> {
        if args.len() != function.arity() {
            return None;
        }
        if args.iter().any(|arg| arg.value_type.is_none()) {
            return Some(Expr::null());
        }
        let fits = |arg: &Expr| match arg.value_type {
            Some(kind) if function.keeps_type() => kind.is_numeric(),
            kind => kind == Some(FieldType::Float),
        };
        let value_type = args.first().and_then(|arg| arg.value_type);
        let height = args.iter().map(|arg| arg.height).max().unwrap_or(0) + 1;
        args.iter().all(fits).then_some(Expr { node: Node::Math { function, args }, value_type, height })
    }

    /// Levels, from 1 on.
    pub fn height(&self) -> usize {
        self.height
    }
}

/// The conversion that [`Node::Cast`] makes. `None` when either type is not numeric.
pub fn cast_constant(value: &FieldValue, to: FieldType) -> Option<FieldValue> {
    let (float, integer, unsigned) = match *value {
        FieldValue::Float(value) => (value, value as i64, value as u64),
        FieldValue::Integer(value) => (value as f64, value, value as u64),
        FieldValue::Unsigned(value) => (value as f64, value as i64, value),
        FieldValue::String(_) | FieldValue::Boolean(_) => return None,
    };
    match to {
        FieldType::Float => Some(FieldValue::Float(float)),
        FieldType::Integer => Some(FieldValue::Integer(integer)),
        FieldType::Unsigned => Some(FieldValue::Unsigned(unsigned)),
        FieldType::String | FieldType::Boolean => None,
    }
}

impl Operator {
    /// Every operator.
    pub const ALL: [Operator; 16] = [
        Operator::And,
        Operator::Or,
        Operator::Eq,
        Operator::NotEq,
        Operator::Lt,
        Operator::LtEq,
        Operator::Gt,
        Operator::GtEq,
        Operator::Add,
        Operator::Sub,
        Operator::Mul,
        Operator::Div,
        Operator::Mod,
        Operator::BitAnd,
        Operator::BitOr,
        Operator::BitXor,
    ];

    /// Whether it compares.
    pub fn is_comparison(self) -> bool {
        matches!(self, Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq)
    }

    /// As InfluxQL writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Operator::And => "AND",
            Operator::Or => "OR",
            Operator::Eq => "=",
            Operator::NotEq => "!=",
            Operator::Lt => "<",
            Operator::LtEq => "<=",
            Operator::Gt => ">",
            Operator::GtEq => ">=",
            Operator::Add => "+",
            Operator::Sub => "-",
            Operator::Mul => "*",
            Operator::Div => "/",
            Operator::Mod => "%",
            Operator::BitAnd => "&",
            Operator::BitOr => "|",
            Operator::BitXor => "^",
        }
    }

    /// The type of the result: outer `None` when the operands do not fit, inner `None` when the result is always null.
    fn result_type(self, lhs: Option<FieldType>, rhs: Option<FieldType>) -> Option<Option<FieldType>> {
        if matches!(self, Operator::And | Operator::Or) {
            let fits = |side: Option<FieldType>| matches!(side, None | Some(FieldType::Boolean));
            return (fits(lhs) && fits(rhs)).then_some(Some(FieldType::Boolean));
        }
        let (Some(lhs), Some(rhs)) = (lhs, rhs) else { return Some(None) };
        if self.is_comparison() {
            let mixed = matches!(
                (lhs, rhs),
                (FieldType::Integer, FieldType::Unsigned) | (FieldType::Unsigned, FieldType::Integer)
            );
            let ordered = lhs.is_numeric() || matches!(self, Operator::Eq | Operator::NotEq);
            return ((lhs == rhs && ordered) || mixed).then_some(Some(FieldType::Boolean));
        }
        let fits = match self {
            Operator::BitAnd | Operator::BitOr | Operator::BitXor => {
                matches!(lhs, FieldType::Integer | FieldType::Unsigned | FieldType::Boolean)
            }
            _ => lhs.is_numeric(),
        };
        (lhs == rhs && fits).then_some(Some(lhs))
    }
}

impl MathFunction {
    /// Every function.
    pub const ALL: [MathFunction; 18] = [
        MathFunction::Abs,
        MathFunction::Floor,
        MathFunction::Ceil,
        MathFunction::Round,
        MathFunction::Sin,
        MathFunction::Cos,
        MathFunction::Tan,
        MathFunction::Asin,
        MathFunction::Acos,
        MathFunction::Atan,
        MathFunction::Atan2,
        MathFunction::Exp,
        MathFunction::Ln,
        MathFunction::Log2,
        MathFunction::Log10,
        MathFunction::Log,
        MathFunction::Pow,
        MathFunction::Sqrt,
    ];

    /// The function of this name.
    pub fn from_name(name: &str) -> Option<MathFunction> {
        MathFunction::ALL.into_iter().find(|function| function.name() == name)
    }

    /// Its name in InfluxQL.
    pub fn name(self) -> &'static str {
        match self {
            MathFunction::Abs => "abs",
            MathFunction::Floor => "floor",
            MathFunction::Ceil => "ceil",
            MathFunction::Round => "round",
            MathFunction::Sin => "sin",
            MathFunction::Cos => "cos",
            MathFunction::Tan => "tan",
            MathFunction::Asin => "asin",
            MathFunction::Acos => "acos",
            MathFunction::Atan => "atan",
            MathFunction::Atan2 => "atan2",
            MathFunction::Exp => "exp",
            MathFunction::Ln => "ln",
            MathFunction::Log2 => "log2",
            MathFunction::Log10 => "log10",
            MathFunction::Log => "log",
            MathFunction::Pow => "pow",
            MathFunction::Sqrt => "sqrt",
        }
    }

    /// How many arguments it takes.
    pub fn arity(self) -> usize {
        match self {
            MathFunction::Atan2 | MathFunction::Log | MathFunction::Pow => 2,
            _ => 1,
        }
    }

    /// The value of the function; `y` counts only where there are two arguments. This one place defines the results.
    pub fn apply(self, x: f64, y: f64) -> f64 {
        match self {
            MathFunction::Abs => x.abs(),
            MathFunction::Floor => x.floor(),
            MathFunction::Ceil => x.ceil(),
            MathFunction::Round => x.round(),
            MathFunction::Sin => x.sin(),
            MathFunction::Cos => x.cos(),
            MathFunction::Tan => x.tan(),
            MathFunction::Asin => x.asin(),
            MathFunction::Acos => x.acos(),
            MathFunction::Atan => x.atan(),
            MathFunction::Atan2 => x.atan2(y),
            MathFunction::Exp => x.exp(),
            MathFunction::Ln => x.ln(),
            MathFunction::Log2 => x.log2(),
            MathFunction::Log10 => x.log10(),
            MathFunction::Log => x.ln() / y.ln(),
            MathFunction::Pow => x.powf(y),
            MathFunction::Sqrt => x.sqrt(),
        }
    }

    /// Whether the result has the type of the argument; otherwise both are doubles.
    pub fn keeps_type(self) -> bool {
        matches!(self, MathFunction::Abs | MathFunction::Floor | MathFunction::Ceil | MathFunction::Round)
    }
}
