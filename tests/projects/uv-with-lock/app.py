import telco
import joblib
