//! Calls in the select list: names, number and kinds of arguments.

use influxql::ast::{Call, Expr, Literal};
use influxql::duration::format_duration;

use super::{Checker, cannot_be_combined, check_count};
use crate::error::PlanError;
use crate::time_bounds::go_type;

impl Checker {
    pub(super) fn check_call(&mut self, call: &Call) -> Result<(), PlanError> {
        self.call_count += 1;
        let (name, args) = (call.name.as_str(), call.args.as_slice());
        match name {
            "percentile" => self.check_percentile(args),
            "sample" => self.check_sample(args),
            "distinct" => self.check_distinct(args, false),
            "top" | "bottom" => self.check_top_or_bottom(name, args),
            "derivative" | "non_negative_derivative" | "elapsed" => {
                check_count_between(name, args.len(), 1, 2)?;
                check_unit(name, args.get(1))?;
                self.check_transformed(name, &args[0])
            }
            "difference" | "non_negative_difference" | "cumulative_sum" => {
                check_count(name, args.len(), 1)?;
                self.check_transformed(name, &args[0])
            }
            "moving_average" => {
                check_count(name, args.len(), 2)?;
                check_moving_average(&args[1])?;
                self.check_transformed(name, &args[0])
            }
            "exponential_moving_average"
            | "double_exponential_moving_average"
            | "triple_exponential_moving_average"
            | "triple_exponential_derivative"
            | "relative_strength_index"
            | "chande_momentum_oscillator" => {
                check_count_between(name, args.len(), 2, 4)?;
                check_smoothing(name, args)?;
                self.check_transformed(name, &args[0])
            }
            "kaufmans_efficiency_ratio" | "kaufmans_adaptive_moving_average" => {
                check_count_between(name, args.len(), 2, 3)?;
                check_smoothing(name, args)?;
                self.check_transformed(name, &args[0])
            }
            "integral" => self.check_integral(args),
            "holt_winters" | "holt_winters_with_fit" => self.check_holt_winters(name, args),
            _ => self.check_plain(name, args),
        }
    }

    /// A name, a wildcard or a pattern as the first argument.
    fn check_column(&mut self, name: &str, arg: &Expr) -> Result<(), PlanError> {
        let wildcard = match arg {
            Expr::VarRef(_) => return Ok(()),
            Expr::Wildcard(_) => "wildcard",
            Expr::Literal(Literal::Regex(_)) => "regex field",
            _ => return Err(PlanError::new(format!("expected field argument in {name}()"))),
        };
        if !self.wildcard_allowed {
            return Err(PlanError::new(format!("unsupported expression with {wildcard}: {name}()")));
        }
        self.only_selectors = false;
        Ok(())
    }

    fn check_plain(&mut self, name: &str, args: &[Expr]) -> Result<(), PlanError> {
        match name {
            "max" | "min" | "first" | "last" => {}
            "count" | "sum" | "mean" | "median" | "mode" | "stddev" | "spread" => self.only_selectors = false,
            "sum_hll" | "merge_hll" | "count_hll" => {
                return Err(PlanError::new(format!("{name}() is not supported yet")));
            }
            _ => return Err(PlanError::new(format!("undefined function {name}()"))),
        }
        check_count(name, args.len(), 1)?;
        match (name, &args[0]) {
            ("count", Expr::Call(inner)) if inner.name == "distinct" => self.check_distinct(&inner.args, true),
            ("count", Expr::Distinct(_)) => Ok(()),
            (_, arg) => self.check_column(name, arg),
        }
    }

    pub(super) fn check_distinct(&mut self, args: &[Expr], nested: bool) -> Result<(), PlanError> {
        match args {
            [] => return Err(PlanError::new("distinct function requires at least one argument")),
            [Expr::VarRef(_)] => {}
            [_] => return Err(PlanError::new("expected field argument in distinct()")),
            _ => return Err(PlanError::new("distinct function can only have one argument")),
        }
        self.has_distinct |= !nested;
        self.only_selectors = false;
        Ok(())
    }

    fn check_percentile(&mut self, args: &[Expr]) -> Result<(), PlanError> {
        check_count("percentile", args.len(), 2)?;
        if !matches!(args[1], Expr::Literal(Literal::Integer(_) | Literal::Number(_))) {
            return Err(PlanError::new("expected float argument in percentile()"));
        }
        self.check_column("percentile", &args[0])
    }

    fn check_sample(&mut self, args: &[Expr]) -> Result<(), PlanError> {
        check_count("sample", args.len(), 2)?;
        let Expr::Literal(Literal::Integer(count)) = args[1] else {
            return Err(PlanError::new("expected integer argument in sample()"));
        };
        if count <= 0 {
            return Err(PlanError::new(format!("sample window must be greater than 1, got {count}")));
        }
        self.check_column("sample", &args[0])
    }

    fn check_integral(&mut self, args: &[Expr]) -> Result<(), PlanError> {
        check_count_between("integral", args.len(), 1, 2)?;
        match args.get(1) {
            None => {}
            Some(Expr::Literal(Literal::Duration(unit_ns))) => check_positive(*unit_ns)?,
            Some(_) => return Err(PlanError::new("second argument must be a duration")),
        }
        self.only_selectors = false;
        self.check_column("integral", &args[0])
    }

    fn check_top_or_bottom(&mut self, name: &str, args: &[Expr]) -> Result<(), PlanError> {
        if let Some(other) = &self.top_or_bottom {
            return Err(cannot_be_combined(other));
        }
        let [first, between @ .., last] = args else {
            let got = args.len();
            return Err(PlanError::new(format!(
                "invalid number of arguments for {name}, expected at least 2, got {got}"
            )));
        };
        let Expr::Literal(Literal::Integer(count)) = last else {
            return Err(PlanError::new(format!("expected integer as last argument in {name}(), found {last}")));
        };
        if *count <= 0 {
            return Err(PlanError::new(format!("limit ({count}) in {name} function must be at least 1")));
        }
        let limit = self.limit;
        if limit > 0 && count.unsigned_abs() > limit {
            return Err(PlanError::new(format!(
                "limit ({count}) in {name} function can not be larger than the LIMIT ({limit}) in the select statement"
            )));
        }
        if !matches!(first, Expr::VarRef(_)) {
            return Err(PlanError::new(format!("expected first argument to be a field in {name}(), found {first}")));
        }
        if let Some(other) = between.iter().find(|arg| !matches!(arg, Expr::VarRef(_))) {
            return Err(PlanError::new(format!("only fields or tags are allowed in {name}(), found {other}")));
        }
        self.top_or_bottom = Some(name.to_owned());
        Ok(())
    }

    fn check_holt_winters(&mut self, name: &str, args: &[Expr]) -> Result<(), PlanError> {
        check_count(name, args.len(), 3)?;
        match args[1] {
            Expr::Literal(Literal::Integer(count)) if count <= 0 => {
                return Err(PlanError::new(format!("second arg to {name} must be greater than 0, got {count}")));
            }
            Expr::Literal(Literal::Integer(_)) => {}
            _ => return Err(PlanError::new(format!("expected integer argument as second arg in {name}"))),
        }
        match args[2] {
            Expr::Literal(Literal::Integer(season)) if season < 0 => {
                return Err(PlanError::new(format!("third arg to {name} cannot be negative, got {season}")));
            }
            Expr::Literal(Literal::Integer(_)) => {}
            _ => return Err(PlanError::new(format!("expected integer argument as third arg in {name}"))),
        }
        self.only_selectors = false;
        let Expr::Call(inner) = &args[0] else {
            return Err(PlanError::new(format!("must use aggregate function with {name}")));
        };
        self.check_nested(name, inner)
    }

    /// The first argument of a transformation: a column without `GROUP BY time`, a call with it.
    fn check_transformed(&mut self, name: &str, arg: &Expr) -> Result<(), PlanError> {
        self.only_selectors = false;
        self.wants_warmup |= name != "cumulative_sum";
        match arg {
            Expr::Call(inner) => self.check_nested(name, inner),
            _ if self.interval.is_some() && !self.inherited => {
                Err(PlanError::new(format!("aggregate function required inside the call to {name}")))
            }
            _ => self.check_column(name, arg),
        }
    }

    fn check_nested(&mut self, name: &str, inner: &Call) -> Result<(), PlanError> {
        if self.interval.is_none() {
            return Err(PlanError::new(format!("{name} aggregate requires a GROUP BY interval")));
        }
        if inner.name == "distinct" {
            return self.check_distinct(&inner.args, true);
        }
        self.check_expr(&Expr::Call(inner.clone()))
    }
}

fn check_count_between(name: &str, got: usize, least: usize, most: usize) -> Result<(), PlanError> {
    if (least..=most).contains(&got) {
        return Ok(());
    }
    Err(PlanError::new(format!(
        "invalid number of arguments for {name}, expected at least {least} but no more than {most}, got {got}"
    )))
}

fn check_positive(unit_ns: i64) -> Result<(), PlanError> {
    if unit_ns > 0 {
        return Ok(());
    }
    Err(PlanError::new(format!("duration argument must be positive, got {}", format_duration(unit_ns))))
}

fn check_unit(name: &str, arg: Option<&Expr>) -> Result<(), PlanError> {
    match arg {
        None => Ok(()),
        Some(Expr::Literal(Literal::Duration(unit_ns))) => check_positive(*unit_ns),
        Some(other) => {
            let kind = go_type(other);
            Err(PlanError::new(format!("second argument to {name} must be a duration, got {kind}")))
        }
    }
}

fn check_moving_average(arg: &Expr) -> Result<(), PlanError> {
    match arg {
        Expr::Literal(Literal::Integer(count)) if *count <= 1 => {
            Err(PlanError::new(format!("moving_average window must be greater than 1, got {count}")))
        }
        Expr::Literal(Literal::Integer(_)) => Ok(()),
        other => {
            let kind = go_type(other);
            Err(PlanError::new(format!("second argument for moving_average must be an integer, got {kind}")))
        }
    }
}

/// Whether the oscillator averages, as it does with every warm-up but `'none'`, its default.
fn is_smoothed(warmup: Option<&Expr>) -> bool {
    matches!(warmup, Some(Expr::Literal(Literal::String(word))) if word != "none")
}

/// Period, hold period and warm-up of the technical analysis functions; -1 as hold period means the default.
fn check_smoothing(name: &str, args: &[Expr]) -> Result<(), PlanError> {
    let refuse = |text: &str| Err(PlanError::new(format!("{name} {text}")));
    match args[1] {
        Expr::Literal(Literal::Integer(period)) if period < 1 => {
            return refuse("period must be greater than or equal to 1");
        }
        // The reference keeps a ring of one less than the period and loses the query over an empty one.
        Expr::Literal(Literal::Integer(1)) if name == "chande_momentum_oscillator" && !is_smoothed(args.get(3)) => {
            return refuse("period must be greater than or equal to 2");
        }
        Expr::Literal(Literal::Integer(_)) => {}
        _ => return refuse("period must be an integer"),
    }
    match args.get(2) {
        None | Some(Expr::Literal(Literal::Integer(-1))) => {}
        Some(Expr::Literal(Literal::Integer(hold))) => {
            let least = i64::from(name == "triple_exponential_derivative");
            if *hold < least {
                return refuse(&format!("hold period must be greater than or equal to {least}"));
            }
        }
        Some(_) => return refuse("hold period must be an integer"),
    }
    let (words, list): (&[&str], _) = match name {
        "chande_momentum_oscillator" => (&["none", "exponential", "simple"], "'none' 'exponential' 'simple'"),
        _ => (&["exponential", "simple"], "'exponential' 'simple'"),
    };
    match args.get(3) {
        None => Ok(()),
        Some(Expr::Literal(Literal::String(word))) if words.contains(&word.as_str()) => Ok(()),
        Some(Expr::Literal(Literal::String(_))) => refuse(&format!("warmup type must be one of: {list}")),
        Some(_) => refuse("warmup type must be a string"),
    }
}
