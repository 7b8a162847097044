from accounts.models.api_key import ApiKey
from accounts.models.base import TenantRow
from accounts.models.membership import Membership
from accounts.models.tenant import Tenant
from accounts.models.user import User

__all__ = ["ApiKey", "Membership", "Tenant", "TenantRow", "User"]
