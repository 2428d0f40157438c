//! `SELECT … INTO`: the rows of an answer as points of another measurement.

use influxql::ast::TargetName;
use meta::{Access, RuleSet};
use model::result::{Series, Value};
use model::{Batch, ConsistencyLevel, FieldValue, Tags};
use plan::TargetPlan;

use crate::access::FORBIDDEN_POINTS;
use crate::points_writer::WriteFailure;
use crate::statement::{Answers, QueryContext, StatementError, Statements};

/// Points written at once.
const BATCH_ROWS_MAX: usize = 10_000;

/// Where the points go, and what waits to be written.
pub(super) struct Writing<'a> {
    statements: &'a Statements,
    db: String,
    rp: String,
    target: TargetPlan,
    /// Series that who asks may not write.
    rules: RuleSet,
    batch: Batch,
    written: u64,
}

impl<'a> Writing<'a> {
    /// Nothing written yet.
    ///
    /// # Errors
    /// When the target names no database, or one that does not exist.
    pub(super) async fn new(
        statements: &'a Statements,
        target: TargetPlan,
        context: &QueryContext,
    ) -> Result<Writing<'a>, StatementError> {
        let db = statements.database(target.database.as_deref(), context).await?;
        let request_rp = if db == context.db { context.rp.clone() } else { String::new() };
        let rp = target.retention_policy.clone().unwrap_or(request_rp);
        let rules = statements.rules(&db, Access::Write, context)?;
        Ok(Writing { statements, db, rp, target, rules, batch: Batch::default(), written: 0 })
    }

    /// Takes the rows of a series, or of a piece of one.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) async fn take(&mut self, series: &Series) -> Result<(), StatementError> {
        let measurement = match &self.target.name {
            TargetName::Name(name) => name.clone(),
            TargetName::SameAsSource => series.name.clone(),
        };
        for row in series.rows.iter() {
            if self.push(&measurement, series, row)? {
                self.written += 1;
            }
            if self.batch.row_count() >= BATCH_ROWS_MAX {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Appends a row as a point; a row without any value is none.
    fn push(&mut self, measurement: &str, series: &Series, row: &[Value]) -> Result<bool, StatementError> {
        let Some((Value::Time { ns, .. }, values)) = row.split_first() else { return Ok(false) };
        let mut tags: Vec<(Vec<u8>, Vec<u8>)> =
            series.tags.iter().map(|(key, value)| (key.clone().into_bytes(), value.clone().into_bytes())).collect();
        let mut fields = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let name = series.columns[index + 1].as_bytes();
            match field_value(value) {
                Some(FieldValue::String(text)) if self.target.tag_columns.contains(&index) => {
                    tags.push((name.to_vec(), text));
                }
                Some(value) => fields.push((name, value)),
                None => {}
            }
        }
        if fields.is_empty() {
            return Ok(false);
        }
        let tags = Tags::new(tags);
        if !self.rules.allows(measurement.as_bytes(), &tags) {
            return Err(StatementError::Wrong(FORBIDDEN_POINTS.to_owned()));
        }
        self.batch.push_point(measurement.as_bytes(), &tags, *ns, &fields);
        Ok(true)
    }

    async fn flush(&mut self) -> Result<(), StatementError> {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        let written = self.statements.writer.write(&self.db, &self.rp, ConsistencyLevel::One, batch).await;
        written.map_err(|failure| match failure {
            WriteFailure::Busy(_) | WriteFailure::Timeout => StatementError::Unavailable(failure.to_string()),
            failure => StatementError::Wrong(failure.to_string()),
        })
    }

    /// Writes what is left and answers how many points there were.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) async fn finish(mut self, answers: &mut Answers) -> Result<(), StatementError> {
        self.flush().await?;
        let mut series = Series::new("result", &["time", "written"]);
        series.rows.push([Value::time(0), Value::Integer(i64::try_from(self.written).unwrap_or(i64::MAX))]);
        answers.series(series, false).await
    }
}

/// A cell as the value of a field; numbers that are none are left out.
fn field_value(value: &Value) -> Option<FieldValue> {
    match value {
        Value::Float(value) if value.is_finite() => Some(FieldValue::Float(*value)),
        Value::Integer(value) => Some(FieldValue::Integer(*value)),
        Value::Unsigned(value) => Some(FieldValue::Unsigned(*value)),
        Value::Boolean(value) => Some(FieldValue::Boolean(*value)),
        Value::String(value) => Some(FieldValue::String(value.as_bytes().to_vec())),
        Value::Float(_) | Value::Null | Value::Time { .. } | Value::List(_) => None,
    }
}
