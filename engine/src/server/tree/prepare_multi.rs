//! multi (client-protocol §2.7, quorum-protocol §3.4): every op sees the effects of those before it,
//! one zxid and one time for all, and a failure takes everything back.

use super::bent;
use super::outstanding::Outstanding;
use super::prepare::{PrepareContext, fits};
use super::state::Tree;
use super::txn::{SubTxn, Txn, TxnBody};
use crate::wire::proto::{ErrorCode, OpCode, Request};

impl Outstanding {
    pub(super) fn prepare_multi(&mut self, tree: &Tree, ops: &[Request], ctx: &PrepareContext) -> Txn {
        self.begin();
        let mut done = Vec::with_capacity(ops.len());
        let mut failed = false;
        let mut len = 0;
        for op in ops {
            done.push(if failed {
                SubTxn::error(ErrorCode::RuntimeInconsistency)
            } else {
                match self.prepare_part(tree, op, ctx) {
                    Ok(part) => {
                        len += part.body.encoded_len();
                        // A little that is asked for may become much (`auth` entries): what no peer could read is not
                        // made to its end.
                        if len > ctx.settings.txn_len_max {
                            self.roll_back();
                            return Txn::error(ctx, ErrorCode::MarshallingError);
                        }
                        part
                    }
                    Err(code) => {
                        failed = true;
                        SubTxn::error(code)
                    }
                }
            });
        }
        if failed {
            match bent::keeps_failed_multi() {
                true => self.commit(),
                false => self.roll_back(),
            }
            return self.txn(tree, ctx, OpCode::Multi, TxnBody::Multi(done));
        }
        match fits(OpCode::Multi, TxnBody::Multi(done), ctx) {
            Ok((op, body)) => {
                self.commit();
                self.txn(tree, ctx, op, body)
            }
            // Each op passed, but no peer could read them all together.
            Err(code) => {
                self.roll_back();
                Txn::error(ctx, code)
            }
        }
    }

    fn prepare_part(&mut self, tree: &Tree, op: &Request, ctx: &PrepareContext) -> Result<SubTxn, ErrorCode> {
        let allowed = matches!(
            op,
            Request::Create(_)
                | Request::Create2(_)
                | Request::CreateContainer(_)
                | Request::CreateTtl(_)
                | Request::Delete { .. }
                | Request::SetData { .. }
                | Request::Check { .. }
        );
        if !allowed {
            return Err(ErrorCode::MarshallingError);
        }
        let (kind, body) = self.prepare_op(tree, op, ctx)?;
        let kind = match kind {
            // Old servers know no create2 in a multi; the record is the same (TRAP Q32).
            OpCode::Create2 if !ctx.settings.create2_in_multi => OpCode::Create,
            kind => kind,
        };
        Ok(SubTxn { kind: kind.code(), body })
    }
}
