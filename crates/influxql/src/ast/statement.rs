//! One statement of any kind.

use super::admin::{
    AlterRetentionPolicy, CreateContinuousQuery, CreateDatabase, CreateRetentionPolicy, CreateSubscription, CreateUser,
    Grant, KillQuery, Revoke, ServerKind, SetPassword,
};
use super::expr::Expr;
use super::select::{Explain, SelectStatement, Source};
use super::show::{ShowCardinality, ShowFieldKeys, ShowMeasurements, ShowSeries, ShowTagKeys, ShowTagValues};

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    Select(Box<SelectStatement>),
    Explain(Explain),

    Delete(Delete),
    DropSeries(DropSeries),
    DropMeasurement {
        name: String,
    },
    DropShard {
        id: u64,
    },

    ShowMeasurements(ShowMeasurements),
    ShowSeries(ShowSeries),
    ShowTagKeys(ShowTagKeys),
    ShowTagValues(ShowTagValues),
    ShowFieldKeys(ShowFieldKeys),
    ShowCardinality(ShowCardinality),

    ShowDatabases,
    ShowRetentionPolicies {
        database: Option<String>,
    },
    ShowContinuousQueries,
    ShowQueries,
    ShowUsers,
    ShowGrants {
        user: String,
    },
    ShowSubscriptions,
    ShowShards,
    ShowShardGroups,
    ShowServers,
    ShowStats {
        module: Option<String>,
    },
    ShowDiagnostics {
        module: Option<String>,
    },

    CreateDatabase(CreateDatabase),
    DropDatabase {
        name: String,
    },
    CreateRetentionPolicy(CreateRetentionPolicy),
    AlterRetentionPolicy(AlterRetentionPolicy),
    DropRetentionPolicy {
        name: String,
        database: String,
    },
    CreateContinuousQuery(CreateContinuousQuery),
    DropContinuousQuery {
        name: String,
        database: String,
    },
    CreateSubscription(CreateSubscription),
    DropSubscription {
        name: String,
        database: String,
        retention_policy: String,
    },

    CreateUser(CreateUser),
    DropUser {
        name: String,
    },
    SetPassword(SetPassword),
    Grant(Grant),
    /// `GRANT ALL PRIVILEGES TO user`.
    GrantAdmin {
        user: String,
    },
    Revoke(Revoke),
    /// `REVOKE ALL PRIVILEGES FROM user`.
    RevokeAdmin {
        user: String,
    },

    KillQuery(KillQuery),
    /// `DROP META SERVER id`, `DROP DATA SERVER id`.
    DropServer {
        kind: ServerKind,
        id: u64,
    },
}

/// `DELETE`; has sources, a condition or both.
#[derive(Clone, Debug, PartialEq)]
pub struct Delete {
    /// Measurements, without a database.
    pub sources: Vec<Source>,
    pub condition: Option<Expr>,
}

/// `DROP SERIES`; has sources, a condition or both.
#[derive(Clone, Debug, PartialEq)]
pub struct DropSeries {
    /// Measurements, without a database or retention policy.
    pub sources: Vec<Source>,
    pub condition: Option<Expr>,
}
