//! Promises about what is refused.

use anyhow::bail;
use rl_agents::Context;
use toml::Value;

use super::{Coverage, Found, Subject};
use crate::collect::Workers;
use crate::session::WEIGHTS;
use crate::session::learner::context;

pub(super) fn settings(subject: &Subject) -> Found {
    let Subject { resolved, seed, device, .. } = subject;
    let spec = resolved.shapes()?;
    let (agent, context) = context(resolved, &spec, *seed, device)?;
    let mut table = context.config.clone();
    table.insert("no_such_key".to_owned(), Value::Integer(1));
    match (agent.build)(&Context { config: &table, ..context }).map(drop) {
        Ok(()) => bail!("agent.no_such_key is taken: its settings want #[serde(deny_unknown_fields)]"),
        Err(why) if why.to_string().contains("no_such_key") => Ok(Coverage::default()),
        Err(why) => bail!("agent.no_such_key is refused, and the message does not name it: {why}"),
    }
}

pub(super) fn damage(subject: &Subject) -> Found {
    let half = &subject.trained()?.half;
    let mut session = subject.build(Workers::Exactly(1))?;
    session.visit(&mut |name, part| {
        let of_agent = name == WEIGHTS || ["learner.", "policy."].iter().any(|whose| name.starts_with(whose));
        let saved = half.iter().find(|saved| of_agent && saved.name == name && !saved.bytes.is_empty());
        let Some(saved) = saved else { return Ok(()) };
        for cut in [saved.bytes.len() - 1, saved.bytes.len() / 2] {
            if part.load(&mut &saved.bytes[..cut]).is_ok() {
                bail!("`{name}` is loaded from {cut} of its {} bytes", saved.bytes.len());
            }
        }
        Ok(())
    })?;
    Ok(Coverage::default())
}
