"""What a field, a function or a run costs, told before it is computed."""

from jaxspin.costs.estimate import cost as cost
from jaxspin.costs.operations import Count as Count
from jaxspin.costs.operations import counted as counted
from jaxspin.costs.operations import operations as operations
from jaxspin.costs.record import Cost as Cost
