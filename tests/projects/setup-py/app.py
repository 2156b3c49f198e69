import churn
