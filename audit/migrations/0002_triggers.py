"""The database itself refuses to change, remove or misplace an event, and to move a chain's head except by one step.

SQLite: INSERT OR REPLACE removes rows without a DELETE trigger, hence the look at what is there before an insert.
Rebuilding one of the tables there (AlterField and the like) drops its triggers: such a migration ends with these
statements again; tests/audit/test_triggers.py tells when one forgot.
"""

from django.db import migrations

SQLITE = [
    """CREATE TRIGGER audit_event_append BEFORE INSERT ON audit_auditevent
    WHEN EXISTS (SELECT 1 FROM audit_auditevent WHERE id = NEW.id)
      OR NOT EXISTS (SELECT 1 FROM audit_chainhead
                     WHERE chain = NEW.chain AND seq = NEW.seq - 1 AND hash = NEW.previous_hash)
    BEGIN SELECT RAISE(ABORT, 'audit: an event is only added at the end of its chain'); END""",
    """CREATE TRIGGER audit_event_change BEFORE UPDATE ON audit_auditevent
    BEGIN SELECT RAISE(ABORT, 'audit: an event is never changed'); END""",
    """CREATE TRIGGER audit_event_remove BEFORE DELETE ON audit_auditevent
    BEGIN SELECT RAISE(ABORT, 'audit: an event is never removed'); END""",
    """CREATE TRIGGER audit_head_start BEFORE INSERT ON audit_chainhead
    WHEN NEW.seq <> 0 OR EXISTS (SELECT 1 FROM audit_chainhead WHERE chain = NEW.chain)
    BEGIN SELECT RAISE(ABORT, 'audit: the head of a chain only moves on to its next event'); END""",
    """CREATE TRIGGER audit_head_forward BEFORE UPDATE ON audit_chainhead
    WHEN NEW.chain <> OLD.chain OR NEW.seq <> OLD.seq + 1
      OR NOT EXISTS (SELECT 1 FROM audit_auditevent WHERE chain = NEW.chain AND seq = NEW.seq AND hash = NEW.hash)
    BEGIN SELECT RAISE(ABORT, 'audit: the head of a chain only moves on to its next event'); END""",
    """CREATE TRIGGER audit_head_remove BEFORE DELETE ON audit_chainhead
    BEGIN SELECT RAISE(ABORT, 'audit: the head of a chain only moves on to its next event'); END""",
]
SQLITE_BACK = [
    f"DROP TRIGGER {name}"
    for name in (
        "audit_event_append",
        "audit_event_change",
        "audit_event_remove",
        "audit_head_start",
        "audit_head_forward",
        "audit_head_remove",
    )
]

POSTGRESQL = [
    # integrity_constraint_violation: both databases then answer with Django's IntegrityError.
    """CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = TG_ARGV[0]; END $$""",
    """CREATE FUNCTION audit_append() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NOT EXISTS (SELECT 1 FROM audit_chainhead
                     WHERE chain = NEW.chain AND seq = NEW.seq - 1 AND hash = NEW.previous_hash) THEN
        RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'audit: an event is only added at the end of its chain';
      END IF;
      RETURN NEW;
    END $$""",
    """CREATE FUNCTION audit_forward() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'INSERT' AND NEW.seq = 0 THEN
        RETURN NEW;
      ELSIF TG_OP = 'UPDATE' AND NEW.chain = OLD.chain AND NEW.seq = OLD.seq + 1 AND EXISTS (
          SELECT 1 FROM audit_auditevent WHERE chain = NEW.chain AND seq = NEW.seq AND hash = NEW.hash) THEN
        RETURN NEW;
      END IF;
      RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'audit: the head of a chain only moves on to its next event';
    END $$""",
    """CREATE TRIGGER audit_event_append BEFORE INSERT ON audit_auditevent
    FOR EACH ROW EXECUTE FUNCTION audit_append()""",
    """CREATE TRIGGER audit_event_change BEFORE UPDATE ON audit_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse('audit: an event is never changed')""",
    """CREATE TRIGGER audit_event_remove BEFORE DELETE OR TRUNCATE ON audit_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse('audit: an event is never removed')""",
    """CREATE TRIGGER audit_head_forward BEFORE INSERT OR UPDATE ON audit_chainhead
    FOR EACH ROW EXECUTE FUNCTION audit_forward()""",
    """CREATE TRIGGER audit_head_remove BEFORE DELETE OR TRUNCATE ON audit_chainhead
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse('audit: the head of a chain only moves on to its next event')""",
]
POSTGRESQL_BACK = ["DROP FUNCTION audit_refuse, audit_append, audit_forward CASCADE"]

STATEMENTS = {"sqlite": (SQLITE, SQLITE_BACK), "postgresql": (POSTGRESQL, POSTGRESQL_BACK)}


def install(apps, schema_editor):
    _run(schema_editor, 0)


def remove(apps, schema_editor):
    _run(schema_editor, 1)


def _run(schema_editor, direction):
    vendor = schema_editor.connection.vendor
    if vendor not in STATEMENTS:
        raise NotImplementedError(f"the audit chain has no triggers for {vendor}")
    for statement in STATEMENTS[vendor][direction]:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunPython(install, remove)]
