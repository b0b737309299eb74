//! The configuration that is used where none is given: the tutorial's own action, steered by the
//! tutorial's environment variables.

/// `GENESYS_REGION`, `GENESYS_ORG_ID`, `GENESYS_API_BASE` and `EXTERNAL_API_BASE` steer it.
pub(super) const TEXT: &str = include_str!("builtin.yaml");
