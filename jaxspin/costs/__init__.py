"""What a field, a function or a run costs, told before it is computed."""

from jaxspin.costs.counting import operations as operations
from jaxspin.costs.estimate import cost as cost
from jaxspin.costs.record import Cost as Cost
