from accounts.admin.api_key import ApiKeyAdmin
from accounts.admin.audit_event import AuditEventAdmin
from accounts.admin.base import TenantAdmin
from accounts.admin.membership import MembershipAdmin
from accounts.admin.tenant import OrganisationAdmin

__all__ = ["ApiKeyAdmin", "AuditEventAdmin", "MembershipAdmin", "OrganisationAdmin", "TenantAdmin"]
